// The store over an etcd cluster, through etcd3's typed calls. Its watcher is not used: after a broken connection it resumes
// from the revision of the last header it saw, which may be past events that it has not delivered, while here a watch that
// breaks is over and the caller reads again. Nor are its retries: a call is made once to each member, and only as long as no
// member answers.
import { InterceptingCall, type Interceptor } from '@grpc/grpc-js';
import {
  CompareResult,
  CompareTarget,
  Etcd3,
  EtcdLeaseInvalidError,
  GRPCResourceExhastedError,
  type IRangeResponse,
  type IRequestOp,
  type IWatchResponse,
  isRecoverableError,
  Range,
} from 'etcd3';
import type { Clock } from '../../infra/runtime/clock.ts';
import type { Entry, Operation, Transaction } from '../decide/keys.ts';
import {
  type CommitResult,
  type Reading,
  type Session,
  type Store,
  StoreError,
  type Watch,
  type WatchHandlers,
} from '../ports.ts';

/** For one call. A write may be lost with the leader that it was on its way to, and no member says so. */
const CALL_MS = 5000;
const WRITE_MS = 2500;
/** Of etcd, which counts a client that pings more often than every 5 s as abusive. */
const KEEPALIVE_MS = 6000;
const KEEPALIVE_ANSWER_MS = 3000;
/** Between two dials of a member. gRPC's own waits grow to minutes, and no call is made meanwhile. */
const REDIAL_MS = { first: 100, max: 1000 };
/** Of one answer. What is larger comes in smaller pages. */
const ANSWER_BYTES = 64 * 1024 * 1024;
const PAGE_KEYS = 1000;

/** `endpoints`: `http://host:port` of members of one cluster. Connects when first used. */
export function openEtcdStore(endpoints: readonly string[], clock: Clock): Store {
  for (const endpoint of endpoints) {
    if (!/^https?:\/\/[^/?#@\s]+:\d{1,5}\/?$/.test(endpoint)) {
      throw new StoreError(
        'unusable',
        `"${endpoint}" is not the address of an etcd member, such as http://127.0.0.1:2379`,
      );
    }
  }
  if (endpoints.length === 0) throw new StoreError('unusable', 'etcd needs at least one address');
  return new EtcdStore(endpoints, clock);
}

/** Once to each member, in etcd3's random order, until one answers. */
function oncePerMember(members: number) {
  const signal = new AbortController().signal;
  return async <T>(call: (context: { signal: AbortSignal }) => PromiseLike<T> | T): Promise<T> => {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await call({ signal });
      } catch (error) {
        if (attempt >= members || !(error instanceof Error && isRecoverableError(error))) throw error;
      }
    }
  };
}

const unsubscribed = () => ({ dispose: () => undefined });

function policy(execute: ReturnType<typeof oncePerMember>) {
  // `_altReturn` is there for the type alone, as its declaration says.
  return { _altReturn: undefined as never, onSuccess: unsubscribed, onFailure: unsubscribed, execute };
}

/** A member that lost its leader ends the stream instead of staying silent. */
const requireLeader: Interceptor = (options, nextCall) =>
  new InterceptingCall(nextCall(options), {
    start(metadata, listener, next) {
      metadata.set('hasleader', 'true');
      next(metadata, listener);
    },
  });

class EtcdStore implements Store {
  readonly kind = 'etcd';
  readonly place: string;
  readonly #client: Etcd3;
  readonly #watches = new Set<() => void>();
  #closed = false;

  constructor(endpoints: readonly string[], clock: Clock) {
    this.place = endpoints.join(', ');
    this.#client = new Etcd3({
      hosts: endpoints.map((endpoint) => endpoint.replace(/\/$/, '')),
      grpcOptions: {
        'grpc.max_receive_message_length': ANSWER_BYTES,
        'grpc.keepalive_time_ms': KEEPALIVE_MS,
        'grpc.keepalive_timeout_ms': KEEPALIVE_ANSWER_MS,
        'grpc.initial_reconnect_backoff_ms': REDIAL_MS.first,
        'grpc.max_reconnect_backoff_ms': REDIAL_MS.max,
      },
      defaultCallOptions: ({ isStream, method }) =>
        isStream
          ? { interceptors: [requireLeader] }
          : { deadline: clock.now() + (method === 'txn' ? WRITE_MS : CALL_MS) },
      faultHandling: { host: () => policy(oncePerMember(1)), global: policy(oncePerMember(endpoints.length)) },
    });
  }

  identity(): Promise<string> {
    return this.#call(async () => {
      const { header } = await this.#client.kv.range({ key: Buffer.from('/'), limit: 1, keys_only: true });
      return `etcd:${BigInt(header.cluster_id).toString(16)}`;
    });
  }

  read(prefix: string): Promise<Reading> {
    return this.#call(async () => {
      const range = Range.prefix(prefix);
      const entries: Entry[] = [];
      let from = Buffer.from(range.start);
      let revision: number | undefined;
      let limit = PAGE_KEYS;
      for (;;) {
        const pinned = revision === undefined ? {} : { revision };
        let page: IRangeResponse;
        try {
          page = await this.#client.kv.range({ key: from, range_end: Buffer.from(range.end), limit, ...pinned });
        } catch (error) {
          if (!(error instanceof GRPCResourceExhastedError) || limit === 1) throw error;
          limit = Math.ceil(limit / 8);
          continue;
        }
        revision ??= Number(page.header.revision);
        for (const { key, value, mod_revision } of page.kvs) {
          entries.push({ key: key.toString(), value: value.toString(), modRevision: Number(mod_revision) });
        }
        const last = page.kvs.at(-1);
        if (!page.more || !last) return { revision, entries };
        from = Buffer.concat([last.key, Buffer.of(0)]);
      }
    });
  }

  commit({ compares, operations }: Transaction): Promise<CommitResult> {
    return this.#call(async () => {
      const { succeeded, header } = await this.#client.kv.txn({
        compare: compares.map(({ key, modRevision }) => ({
          key: Buffer.from(key),
          target: CompareTarget.Mod,
          result: CompareResult.Equal,
          mod_revision: modRevision,
        })),
        success: operations.map(request),
        failure: [],
      });
      return { kind: succeeded ? 'committed' : 'conflict', revision: Number(header.revision) };
    });
  }

  watch(prefix: string, fromRevision: number, handlers: WatchHandlers): Watch {
    let over = false;
    let cancel = (): void => undefined;
    const stop = (): void => {
      over = true;
      this.#watches.delete(stop);
      cancel();
    };
    const lost = (reason: string): void => {
      if (over) return;
      stop();
      handlers.onLost(reason);
    };
    this.#watches.add(stop);
    const range = Range.prefix(prefix);
    this.#client.watchClient.watch().then(
      (stream) => {
        // Ended first: a stream that breaks while it can be written to makes etcd3 drop its other calls to that member.
        cancel = () => {
          stream.end();
          stream.cancel();
        };
        stream.on('error', (error) => lost(cleanMessage(error)));
        stream.on('end', () => lost('etcd ended the watch'));
        if (over) {
          cancel();
          return;
        }
        let next = fromRevision;
        stream.on('data', (response) => {
          if (over) return;
          if (response.canceled) {
            const compacted = `revision ${fromRevision} is compacted away`;
            lost(response.compact_revision === '0' ? response.cancel_reason || 'etcd ended the watch' : compacted);
            return;
          }
          for (const batch of batches(response)) {
            if (over) return;
            if (batch.revision < next) {
              lost(`revision ${batch.revision} came after revision ${next - 1}`);
              return;
            }
            next = batch.revision + 1;
            handlers.onBatch(batch);
          }
        });
        const create_request = {
          key: Buffer.from(range.start),
          range_end: Buffer.from(range.end),
          start_revision: fromRevision,
        };
        stream.write({ create_request });
      },
      (error: unknown) => lost(cleanMessage(error)),
    );
    return { stop };
  }

  readonly session = (ttlMs: number): Promise<Session> =>
    this.#call(async () => {
      const lease = this.#client.lease(Math.ceil(ttlMs / 1000), { autoKeepAlive: false });
      const id = await lease.grant();
      return {
        put: (entries) =>
          this.#call(async () => {
            const success = entries.map(({ key, value }) => ({
              request_put: { key: Buffer.from(key), value: Buffer.from(value), lease: id },
            }));
            const { header } = await this.#client.kv.txn({ compare: [], success, failure: [] });
            return Number(header.revision);
          }),
        keepAlive: () =>
          this.#call(async () => {
            try {
              await lease.keepaliveOnce();
              return true;
            } catch (error) {
              if (error instanceof EtcdLeaseInvalidError) return false;
              throw error;
            }
          }),
        end: () => lease.revoke().catch(() => undefined),
      };
    });

  async close(): Promise<void> {
    this.#closed = true;
    for (const stop of this.#watches) stop();
    this.#client.close();
  }

  async #call<T>(work: () => Promise<T>): Promise<T> {
    if (this.#closed) throw new StoreError('unavailable', 'the connection to etcd is closed');
    try {
      return await work();
    } catch (error) {
      const message = cleanMessage(error);
      if (/too many operations|request is too large|larger than max/.test(message)) {
        const detail = 'etcd takes no transaction of that size (see its --max-txn-ops and --max-request-bytes)';
        throw new StoreError('too-large', `${detail}: ${message}`, error);
      }
      if (/duplicate key/.test(message)) throw new StoreError('unusable', message, error);
      throw new StoreError('unavailable', `etcd at ${this.place} cannot be used now: ${message}`, error);
    }
  }
}

function request(operation: Operation): IRequestOp {
  const key = Buffer.from(operation.key);
  if (operation.kind === 'delete') return { request_delete_range: { key } };
  return { request_put: { key, value: Buffer.from(operation.value) } };
}

/** etcd gives several transactions in one response, in order, and never splits one. */
function batches(response: IWatchResponse): { readonly revision: number; readonly events: Operation[] }[] {
  const found: { revision: number; events: Operation[] }[] = [];
  for (const { type, kv } of response.events) {
    const revision = Number(kv.mod_revision);
    const key = kv.key.toString();
    const event: Operation =
      type === 'Delete' ? { kind: 'delete', key } : { kind: 'put', key, value: kv.value.toString() };
    const last = found.at(-1);
    if (last?.revision === revision) last.events.push(event);
    else found.push({ revision, events: [event] });
  }
  return found;
}

/** Without the names and numbers that the client library puts in front. */
function cleanMessage(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return (
    message.replace(/^(?:\w*Error: )?(?:\d+ )?(?:[A-Z_]+: )?/, '').replace(/^etcdserver: /, '') || 'no reason was given'
  );
}
