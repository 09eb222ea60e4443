// One line of the access log: the JSON that JSON.stringify would make of it, put together from texts, most of which are those of
// the line before. What may need escaping is left to JSON.stringify itself.

export interface AccessRecord {
  /** Unix milliseconds. */
  readonly time: number;
  readonly client: string;
  readonly method: string;
  readonly host: string;
  readonly target: string;
  readonly status: number;
  readonly bytes: number;
  /** Milliseconds. */
  readonly durationMs: number;
  readonly cache: string | undefined;
  readonly outcome: string | undefined;
  readonly site: string | undefined;
  readonly origin: string | undefined;
  readonly failure: string | undefined;
  readonly userAgent: string | undefined;
  readonly referer: string | undefined;
  readonly version: number | undefined;
  /** Of the exchanges from which it was drawn, above 0; undefined: it was not drawn, and stands for itself. */
  readonly share: number | undefined;
}

const MAX_TEXT = 512;
const MAX_TARGET = 2_048;
/** Values of one member whose JSON is remembered. */
const REMEMBERED = 200;
/** Anything but printable ASCII without `"` and `\`. */
const UNUSUAL = /[^ !#-[\]-~]/;

/** A member whose values recur, with the comma before it. */
class Member {
  readonly #name: string;
  readonly #known = new Map<string, string>();
  #last: string | undefined = undefined;
  #lastJson = '';

  constructor(name: string) {
    this.#name = `,"${name}":`;
  }

  /** Empty for an absent value. */
  json(value: string | undefined): string {
    if (value === undefined) return '';
    if (value === this.#last) return this.#lastJson;
    let json = this.#known.get(value);
    if (json === undefined) {
      json = this.#name + quote(value, MAX_TEXT);
      if (this.#known.size >= REMEMBERED) this.#known.clear();
      if (value.length <= MAX_TEXT) this.#known.set(value, json);
    }
    this.#last = value;
    this.#lastJson = json;
    return json;
  }
}

export class AccessLines {
  readonly #start: string;
  readonly #client = new Member('client');
  readonly #method = new Member('method');
  readonly #host = new Member('host');
  readonly #cache = new Member('cache');
  readonly #outcome = new Member('outcome');
  readonly #site = new Member('site');
  readonly #origin = new Member('origin');
  readonly #failure = new Member('failure');
  readonly #userAgent = new Member('user_agent');
  readonly #referer = new Member('referer');
  #second = Number.NaN;
  #secondText = '';

  constructor(edge: string) {
    this.#start = `{"edge":${JSON.stringify(edge)},"time":"`;
  }

  /** With its line end. */
  line(record: AccessRecord): string {
    const { version, share } = record;
    let text = `${this.#start}${this.#time(record.time)}"`;
    text += this.#client.json(record.client) + this.#method.json(record.method) + this.#host.json(record.host);
    text += `,"target":${quote(record.target, MAX_TARGET)},"status":${record.status},"bytes":${record.bytes}`;
    text += `,"duration_ms":${Math.round(record.durationMs * 1_000) / 1_000}${this.#cache.json(record.cache)}`;
    text += this.#outcome.json(record.outcome) + this.#site.json(record.site) + this.#origin.json(record.origin);
    text += this.#failure.json(record.failure) + this.#userAgent.json(record.userAgent);
    text += this.#referer.json(record.referer);
    if (version !== undefined) text += `,"version":${version}`;
    return share === undefined ? `${text}}\n` : `${text},"sample":${share}}\n`;
  }

  /** ISO 8601, UTC. */
  #time(now: number): string {
    const ms = Math.trunc(now);
    const second = Math.floor(ms / 1_000);
    if (second !== this.#second) {
      this.#second = second;
      // Up to the point before the milliseconds.
      this.#secondText = new Date(second * 1_000).toISOString().slice(0, -4);
    }
    const rest = ms - second * 1_000;
    return `${this.#secondText}${rest < 10 ? '00' : rest < 100 ? '0' : ''}${rest}Z`;
  }
}

/** As JSON; what is longer than `length` characters is cut. */
function quote(text: string, length: number): string {
  const kept = text.length <= length ? text : `${text.slice(0, length)}…`;
  return UNUSUAL.test(kept) ? JSON.stringify(kept) : `"${kept}"`;
}
