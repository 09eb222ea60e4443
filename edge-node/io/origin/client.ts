// Requests to origins: one pool of kept-alive connections for each address, bounded in connections, in waiting requests and in
// time. Says of each failure in which phase it came, since that decides whether it may be sent again.
import type { Clock, Timer } from '../../../infra/runtime/clock.ts';
import type { OriginTimeouts } from '../../../proto/gen/meridian/v1/resources.ts';
import type { CompiledOrigin, CompiledSnapshot } from '../../decide/compile.ts';
import { requestText } from '../../decide/http1/request-head.ts';
import type { OriginCall, OriginHandler, OriginPort, OriginRequest } from '../../ports.ts';
import { Call } from './call.ts';
import type { Connect } from './connector.ts';
import { OriginPool } from './pool.ts';
import { DEFAULT_ORIGIN_LIMITS, type OriginLimits, OriginShared } from './shared.ts';

export interface OriginClientOptions {
  readonly clock: Clock;
  /** How to reach an address, "http://host:port" or "https://host:port"; asked once for each. */
  connector(address: string): Connect;
  suspect(origin: CompiledOrigin): void;
  readonly limits?: Partial<OriginLimits>;
}

/** How often deadlines are looked at, milliseconds: they are kept to within twice this. */
const SWEEP_MS = 50;
/** For a pool that no snapshot has any more. */
const TIMEOUTS: OriginTimeouts = { connectMs: 2_000, headMs: 30_000, bodyMs: 30_000 };

export class OriginClient implements OriginPort {
  readonly #options: OriginClientOptions;
  readonly #shared: OriginShared;
  readonly #pools = new Map<string, OriginPool>();
  /** Those whose last requests are not answered yet. */
  readonly #retired = new Set<OriginPool>();
  readonly #timer: Timer;
  #timeouts = new Map<string, OriginTimeouts>();
  #closed = false;

  constructor(options: OriginClientOptions) {
    this.#options = options;
    this.#shared = new OriginShared({ ...DEFAULT_ORIGIN_LIMITS, ...options.limits });
    this.#timer = options.clock.every(SWEEP_MS, () => this.#sweep());
  }

  /** Takes the origins of a snapshot: connections to those that are gone close when their last answer is complete. */
  use(snapshot: CompiledSnapshot): void {
    const kept = new Set<string>();
    this.#timeouts = new Map();
    for (const pool of snapshot.pools) {
      this.#timeouts.set(pool.name, pool.timeouts);
      for (const origin of pool.origins) kept.add(origin.address);
    }
    for (const [address, pool] of this.#pools) {
      if (kept.has(address)) continue;
      this.#pools.delete(address);
      this.#retired.add(pool);
      pool.retire();
    }
  }

  send(origin: CompiledOrigin, request: OriginRequest, handler: OriginHandler): OriginCall {
    const { method, target, fields, body, upgrade, trailers = false } = request;
    const head = requestText({
      method,
      target,
      fields,
      body: body === undefined ? 'none' : (body.length ?? 'chunked'),
      expectsContinue: body?.continueDue === true,
      trailers,
      upgrade,
    });
    const text = head.kind === 'text' ? head.text : '';
    const call = new Call(origin, request, handler, this.#timeouts.get(origin.pool) ?? TIMEOUTS, text);
    if (head.kind === 'malformed') call.fail('connect', 'origin-malformed', head.detail);
    else if (this.#closed) call.fail('connect', 'origin-unreachable', 'the edge stops');
    else this.#pool(origin.address).send(call);
    return call;
  }

  suspect(origin: CompiledOrigin): void {
    this.#options.suspect(origin);
  }

  /** Ends all requests and connections. */
  close(): void {
    this.#closed = true;
    this.#timer.cancel();
    for (const pool of [...this.#pools.values(), ...this.#retired]) pool.close();
    this.#pools.clear();
    this.#retired.clear();
  }

  #pool(address: string): OriginPool {
    let pool = this.#pools.get(address);
    if (!pool) {
      pool = new OriginPool(this.#options.connector(address), this.#shared);
      this.#pools.set(address, pool);
    }
    return pool;
  }

  #sweep(): void {
    const now = this.#options.clock.monotonic();
    for (const pool of this.#pools.values()) pool.sweep(now);
    for (const pool of this.#retired) {
      pool.sweep(now);
      if (pool.empty) this.#retired.delete(pool);
    }
  }
}
