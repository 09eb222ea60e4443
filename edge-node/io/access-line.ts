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
}

const MAX_TEXT = 512;
const MAX_TARGET = 2_048;
/** Texts whose JSON is remembered. */
const REMEMBERED = 500;
/** Anything but printable ASCII without `"` and `\`. */
const UNUSUAL = /[^ !#-[\]-~]/;

export class AccessLines {
  readonly #start: string;
  readonly #quoted = new Map<string, string>();
  #second = Number.NaN;
  #secondText = '';

  constructor(edge: string) {
    this.#start = `{"edge":${JSON.stringify(edge)},"time":"`;
  }

  /** With its line end. */
  line(record: AccessRecord): string {
    const { host, target, cache, outcome, site, origin, failure, userAgent, referer, version } = record;
    let text = `${this.#start}${this.#time(record.time)}","client":${this.#quote(record.client)}`;
    text += `,"method":${this.#quote(record.method)},"host":${this.#quote(host)},"target":${quote(target, MAX_TARGET)}`;
    text += `,"status":${record.status},"bytes":${record.bytes}`;
    text += `,"duration_ms":${Math.round(record.durationMs * 1_000) / 1_000}`;
    if (cache !== undefined) text += `,"cache":${this.#quote(cache)}`;
    if (outcome !== undefined) text += `,"outcome":${this.#quote(outcome)}`;
    if (site !== undefined) text += `,"site":${this.#quote(site)}`;
    if (origin !== undefined) text += `,"origin":${this.#quote(origin)}`;
    if (failure !== undefined) text += `,"failure":${this.#quote(failure)}`;
    if (userAgent !== undefined) text += `,"user_agent":${this.#quote(userAgent)}`;
    if (referer !== undefined) text += `,"referer":${this.#quote(referer)}`;
    if (version !== undefined) text += `,"version":${version}`;
    return `${text}}\n`;
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

  /** Of what recurs. */
  #quote(text: string): string {
    const known = this.#quoted.get(text);
    if (known !== undefined) return known;
    const quoted = quote(text, MAX_TEXT);
    if (text.length > MAX_TEXT) return quoted;
    if (this.#quoted.size >= REMEMBERED) this.#quoted.clear();
    this.#quoted.set(text, quoted);
    return quoted;
  }
}

/** As JSON; what is longer than `length` characters is cut. */
function quote(text: string, length: number): string {
  const kept = text.length <= length ? text : `${text.slice(0, length)}…`;
  return UNUSUAL.test(kept) ? JSON.stringify(kept) : `"${kept}"`;
}
