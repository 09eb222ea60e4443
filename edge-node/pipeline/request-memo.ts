// Remembers what was made of a request, for the next that is the same: admission, site, route, class and cache key depend on the
// request line, the field section and the snapshot alone. The parser gives requests that repeat a section the same list of
// fields, so that one look at its identity tells that all fields are equal. What depends on more (the client's address, the
// time, what is stored or purged) is decided anew each time.
//
// What it holds is bounded: one request in each of `slots`, only targets up to MAX_TARGET, and only what came twice in short
// succession. A new snapshot empties it.
import type { Admitted, RequestHead } from '../decide/admit.ts';
import type { RequestClass } from '../decide/cache/request.ts';
import type { CompiledRoute, CompiledSite } from '../decide/compile.ts';
import type { Serving } from '../ports.ts';

export interface KnownRequest {
  readonly request: Pick<RequestHead, 'method' | 'target' | 'fields' | 'version' | 'scheme' | 'sni'>;
  readonly admitted: Admitted;
  readonly site: CompiledSite;
  readonly route: CompiledRoute;
  readonly requestClass: RequestClass;
  /** What of the target chooses the answer. */
  readonly target: string;
  readonly key: string;
}

/** Characters. */
const MAX_TARGET = 512;
/** From the end of a target, where they differ; the hash only says where to look. */
const HASHED = 24;

export class RequestMemo {
  readonly #mask: number;
  readonly #known: (KnownRequest | undefined)[];
  /** Hashes of what came last. */
  readonly #seen: Int32Array;
  #serving: Serving | undefined;

  /** `slots`: a power of two. */
  constructor(slots = 1024) {
    if (slots < 1 || (slots & (slots - 1)) !== 0) throw new Error(`${slots} slots is not a power of two`);
    this.#mask = slots - 1;
    this.#known = new Array<KnownRequest | undefined>(slots).fill(undefined);
    this.#seen = new Int32Array(slots);
  }

  find(request: RequestHead, serving: Serving): KnownRequest | undefined {
    if (request.recurring !== true) return undefined;
    if (serving !== this.#serving) {
      this.#serving = serving;
      this.#known.fill(undefined);
    }
    const known = this.#known[targetHash(request.target) & this.#mask];
    if (known === undefined) return undefined;
    const { fields, target, method, version, scheme, sni } = known.request;
    const same =
      fields === request.fields &&
      target === request.target &&
      method === request.method &&
      version === request.version &&
      scheme === request.scheme &&
      sni === request.sni;
    return same ? known : undefined;
  }

  /** To be called after `find` did not know it, under the same snapshot. */
  keep(request: RequestHead, made: Omit<KnownRequest, 'request'>): void {
    const { method, target, fields, version, scheme, sni } = request;
    if (request.recurring !== true || target.length > MAX_TARGET) return;
    const hash = targetHash(target);
    const slot = hash & this.#mask;
    if (this.#seen[slot] === hash) {
      this.#known[slot] = { request: { method, target, fields, version, scheme, sni }, ...made };
    }
    this.#seen[slot] = hash;
  }
}

function targetHash(target: string): number {
  let hash = target.length;
  for (let i = Math.max(0, target.length - HASHED); i < target.length; i += 1) {
    hash = (Math.imul(hash, 31) + target.charCodeAt(i)) | 0;
  }
  return hash ^ (hash >>> 10);
}
