// What a miss costs in the pipeline, in nanoseconds, with an origin that answers at once: nobody else waits for it, which is what
// nearly every miss is like. `node bin/node26.js bench/micro/fill.ts`.

import type { RequestHead } from '../../edge-node/decide/admit.ts';
import { PurgeBarrier } from '../../edge-node/decide/barrier.ts';
import { cacheName } from '../../edge-node/decide/cache/cache-status.ts';
import type { CompiledPool, CompiledSnapshot } from '../../edge-node/decide/compile.ts';
import type { FieldList } from '../../edge-node/decide/fields.ts';
import { HealthTable } from '../../edge-node/decide/health.ts';
import { OriginOrder } from '../../edge-node/decide/order.ts';
import { CountingLedger } from '../../edge-node/io/ledger.ts';
import { MemoryStore } from '../../edge-node/io/memory-store.ts';
import { Exchange } from '../../edge-node/pipeline/exchange.ts';
import { createEngine } from '../../edge-node/pipeline/run.ts';
import { STEPS } from '../../edge-node/pipeline/steps/index.ts';
import type { ClientPort, OriginHandler, Serving } from '../../edge-node/ports.ts';
import { systemClock } from '../../infra/runtime/clock.ts';
import { silentLog } from '../../infra/runtime/log.ts';
import { Metrics } from '../../infra/runtime/metrics.ts';
import { seededRandom } from '../../infra/runtime/random.ts';
import { measure } from '../nanoseconds.ts';

const LONDON = { latitude: 51.5, longitude: -0.1 };
const pool: CompiledPool = {
  name: 'pool',
  origins: [{ pool: 'pool', name: 'origin', address: 'http://127.0.0.1', location: LONDON, weight: 1 }],
  timeouts: { connectMs: 1, headMs: 1, bodyMs: 1 },
};
const cache = { enabled: true, defaultTtlMs: 0 };
const routes = [
  { pathPrefix: '/', pool, cache },
  { pathPrefix: '/bypass', pool, cache: { ...cache, enabled: false } },
];
const snapshot: CompiledSnapshot = {
  version: { epoch: 1, revision: 1 },
  edge: { name: 'bench', location: LONDON, trustedProxies: [] },
  location: LONDON,
  hosts: new Map([['www.example.com', { name: 'site', number: 1, tally: undefined, routes: routes.toReversed() }]]),
  wildcards: new Map(),
  pools: [pool],
};
const serving: Serving = { snapshot, isTrusted: () => false, order: new OriginOrder() };
const fields: FieldList = Object.freeze(['host', 'www.example.com', 'user-agent', 'Mozilla/5.0', 'accept', '*/*']);

/** Takes the answer and throws it away. */
class Client implements ClientPort {
  readonly request: RequestHead;
  readonly body = undefined;
  readonly retains = false;
  onDrain: (() => void) | undefined = undefined;
  onGone: (() => void) | undefined = undefined;

  constructor(target: string) {
    const line = { method: 'GET', target, version: '1.1', scheme: 'http', sni: undefined } as const;
    this.request = { ...line, fields, recurring: true, peer: '192.0.2.1', hasBody: false };
  }
  answer(): void {}
  inform(): void {}
  begin(): void {}
  write(): boolean {
    return true;
  }
  end(): void {}
  abort(): void {}
}

const BODY = Buffer.alloc(1024);
const date = new Date().toUTCString();
const call = { pause: () => undefined, resume: () => undefined, abort: () => undefined };
const ANSWERS: Readonly<Record<string, FieldList>> = {
  uncacheable: Object.freeze(['date', date, 'cache-control', 'no-store', 'content-length', '1024']),
  stored: Object.freeze(['date', date, 'cache-control', 'max-age=60', 'content-length', '1024']),
};
let handler: OriginHandler | undefined;
const engine = createEngine(
  {
    edge: 'bench',
    cacheName: cacheName('bench'),
    clock: systemClock,
    random: seededRandom(1),
    log: silentLog,
    serving: () => serving,
    locate: () => ({ location: LONDON, city: '', country: '', source: 'database' }),
    cache: new MemoryStore({ maxBytes: 16 * 1024 * 1024 }),
    barrier: new PurgeBarrier(),
    health: new HealthTable(),
    origins: {
      send: (_origin, _request, receiver) => {
        handler = receiver;
        return call;
      },
      suspect: () => undefined,
    },
    ledger: new CountingLedger(new Metrics(), systemClock, undefined),
  },
  STEPS,
);

function miss(target: string, answer: FieldList | undefined): void {
  engine.start(new Exchange(new Client(target), 0));
  handler?.onHead(200, answer ?? []);
  handler?.onData(BODY);
  handler?.onEnd([]);
}

measure('a bypass', () => miss('/bypass', ANSWERS.uncacheable));
measure('a miss that is not stored', () => miss('/one', ANSWERS.uncacheable));
measure('a miss of ever another URL that is not stored', (i) => miss(`/${i}`, ANSWERS.uncacheable));
measure('a miss of ever another URL that is stored', (i) => miss(`/${i}`, ANSWERS.stored));
