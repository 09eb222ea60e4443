// Requests to origins: one `undici` pool of kept-alive connections for each origin, bounded in connections, in waiting
// requests and in time. Says of each failure in which phase it came, since that decides whether another origin may be tried.
import { Readable } from 'node:stream';
import { type buildConnector, type Dispatcher, Pool } from 'undici';
import type { CompiledOrigin, CompiledSnapshot } from '../decide/compile.ts';
import type { OriginFailure } from '../decide/retry.ts';
import type { OriginCall, OriginHandler, OriginPort, OriginRequest, RequestBody } from '../ports.ts';

export interface OriginClientOptions {
  /** Connections to one origin. */
  readonly connections: number;
  /** Requests that may wait for one of them; more are refused. */
  readonly waiting: number;
  /** Makes a pool's connector, which denies addresses that no origin may have. */
  connector(timeoutMs: number): buildConnector.connector;
  suspect(origin: CompiledOrigin): void;
}

/** Larger header sections from an origin are a failure, bytes. */
const MAX_RESPONSE_FIELDS = 64 * 1024;

/** undici's codes for an answer too large, and for a request that it will not send. */
const MALFORMED: ReadonlySet<string> = new Set(['UND_ERR_HEADERS_OVERFLOW', 'UND_ERR_INVALID_ARG']);

interface OriginPool {
  readonly pool: Pool;
  inFlight: number;
}

export class OriginClient implements OriginPort {
  readonly #options: OriginClientOptions;
  readonly #pools = new Map<string, OriginPool>();
  #timeouts = new Map<string, { connectMs: number; headMs: number; bodyMs: number }>();

  constructor(options: OriginClientOptions) {
    this.#options = options;
  }

  /** Takes the origins of a snapshot: pools of origins that are gone close when their last answer is complete. */
  use(snapshot: CompiledSnapshot): void {
    const kept = new Set<string>();
    this.#timeouts = new Map();
    for (const pool of snapshot.pools) {
      this.#timeouts.set(pool.name, pool.timeouts);
      for (const origin of pool.origins) kept.add(poolKey(origin.address, pool.timeouts.connectMs));
    }
    for (const [key, { pool }] of this.#pools) {
      if (kept.has(key)) continue;
      this.#pools.delete(key);
      void pool.close();
    }
  }

  send(origin: CompiledOrigin, request: OriginRequest, handler: OriginHandler): OriginCall {
    const timeouts = this.#timeouts.get(origin.pool) ?? { connectMs: 2_000, headMs: 30_000, bodyMs: 30_000 };
    const target = this.#pool(origin, timeouts.connectMs);
    const call = new Call(origin, handler, () => {
      target.inFlight -= 1;
    });
    target.inFlight += 1;
    if (target.inFlight > this.#options.connections + this.#options.waiting) {
      const detail = `${this.#options.waiting} requests wait for ${origin.pool}/${origin.name} already`;
      call.refuse({ phase: 'connect', code: 'origin-busy', detail });
      return call;
    }
    try {
      target.pool.dispatch(
        {
          path: request.target,
          method: request.method,
          headers: [...request.fields],
          body: request.body ? bodyStream(request.body) : null,
          headersTimeout: timeouts.headMs,
          bodyTimeout: timeouts.bodyMs,
        },
        call,
      );
    } catch (error) {
      call.onResponseError(undefined, error instanceof Error ? error : new Error(String(error)));
    }
    return call;
  }

  suspect(origin: CompiledOrigin): void {
    this.#options.suspect(origin);
  }

  async close(): Promise<void> {
    const pools = [...this.#pools.values()];
    this.#pools.clear();
    await Promise.all(pools.map(({ pool }) => pool.destroy()));
  }

  #pool(origin: CompiledOrigin, connectMs: number): OriginPool {
    const key = poolKey(origin.address, connectMs);
    let entry = this.#pools.get(key);
    if (!entry) {
      const pool = new Pool(origin.address, {
        connections: this.#options.connections,
        pipelining: 1,
        maxHeaderSize: MAX_RESPONSE_FIELDS,
        connect: this.#options.connector(connectMs),
      });
      entry = { pool, inFlight: 0 };
      this.#pools.set(key, entry);
    }
    return entry;
  }
}

/** Reads the body when the request is on its way, not before: when this origin is not reached, another can have it. */
function bodyStream(body: RequestBody): Readable {
  const stream = Readable.from(body.chunks(), { objectMode: false });
  // undici listens for errors only as long as it writes; later they would end the process.
  stream.on('error', () => undefined);
  return stream;
}

function poolKey(address: string, connectMs: number): string {
  return `${address} ${connectMs}`;
}

class Call implements OriginCall, Dispatcher.DispatchHandler {
  readonly #origin: CompiledOrigin;
  readonly #handler: OriginHandler;
  /** Gives the place in the queue back; undefined once that has been done. */
  #release: (() => void) | undefined;
  #controller: Dispatcher.DispatchController | undefined;
  #sent = false;
  #headSeen = false;
  /** Nothing more is to be said to the handler, except that it failed. */
  #over = false;
  #aborted = false;

  constructor(origin: CompiledOrigin, handler: OriginHandler, release: () => void) {
    this.#origin = origin;
    this.#handler = handler;
    this.#release = release;
  }

  pause(): void {
    this.#controller?.pause();
  }

  resume(): void {
    this.#controller?.resume();
  }

  abort(): void {
    this.#aborted = true;
    if (this.#over) return;
    this.#over = true;
    this.#controller?.abort(new Error('no longer wanted'));
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    // Aborted while it waited for a connection. The controller's own `abort` would end the connection, too.
    if (this.#over) throw new Error('no longer wanted');
    this.#controller = controller;
    this.#sent = true;
  }

  onResponseStart(controller: Dispatcher.DispatchController, status: number): void {
    if (this.#over) return;
    const fields = flatten(controller.rawHeaders);
    if (status < 200) {
      this.#handler.onInformation(status, fields);
      return;
    }
    this.#headSeen = true;
    this.#handler.onHead(status, fields);
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (!this.#over) this.#handler.onData(chunk);
  }

  onResponseEnd(): void {
    this.#finish();
    if (this.#over) return;
    this.#over = true;
    this.#handler.onEnd();
  }

  onResponseError(_controller: Dispatcher.DispatchController | undefined, error: Error): void {
    this.refuse(this.#classify(error));
  }

  /** Ends it with `failure`. */
  refuse(failure: OriginFailure): void {
    this.#finish();
    if (this.#over) return;
    this.#over = true;
    // Never from inside `send`: the caller does not hold the call yet.
    queueMicrotask(() => {
      if (!this.#aborted) this.#handler.onFailure(failure);
    });
  }

  /** What undici is done with waits no more. What was aborted in its queue still stands there, and counts. */
  #finish(): void {
    this.#release?.();
    this.#release = undefined;
  }

  #classify(error: Error): OriginFailure {
    const code = 'code' in error && typeof error.code === 'string' ? error.code : error.name;
    const detail = `${code}: ${error.message} (origin ${this.#origin.pool}/${this.#origin.name} at ${this.#origin.address})`;
    const phase = this.#headSeen ? 'body' : this.#sent ? 'head' : 'connect';
    if (code === 'UND_ERR_CONNECT_TIMEOUT' || code === 'UND_ERR_HEADERS_TIMEOUT' || code === 'UND_ERR_BODY_TIMEOUT') {
      return { phase, code: 'origin-timeout', detail };
    }
    // A length that does not match the body is a cut-off body, or two lengths in one head.
    const twoLengths = code === 'UND_ERR_RES_CONTENT_LENGTH_MISMATCH' && phase === 'head';
    if (twoLengths || error.name === 'HTTPParserError' || MALFORMED.has(code)) {
      return { phase, code: 'origin-malformed', detail };
    }
    return { phase, code: phase === 'connect' ? 'origin-unreachable' : 'origin-cut-off', detail };
  }
}

/** undici hands the field lines out as they came: name, value, name, value. */
function flatten(raw: Dispatcher.DispatchController['rawHeaders']): string[] {
  const fields: string[] = [];
  if (!Array.isArray(raw)) return fields;
  for (let i = 0; i + 1 < raw.length; i += 2) {
    fields.push(latin1(raw[i]).toLowerCase(), latin1(raw[i + 1]));
  }
  return fields;
}

function latin1(value: Buffer | string | undefined): string {
  return typeof value === 'string' ? value : (value?.toString('latin1') ?? '');
}
