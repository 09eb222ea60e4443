// What a request costs beside parser and cache, step by step, in nanoseconds: admission, key, ranking, the whole pipeline for a
// hit, and what goes out. `node bin/node26.js bench/micro/pipeline.ts`.

import { admit, type RequestHead } from '../../edge-node/decide/admit.ts';
import { PurgeBarrier } from '../../edge-node/decide/barrier.ts';
import { cacheName } from '../../edge-node/decide/cache/cache-status.ts';
import { makeHead } from '../../edge-node/decide/cache/entry.ts';
import { cacheKey, purgeName } from '../../edge-node/decide/cache/key.ts';
import { Preparation, wholeAnswer } from '../../edge-node/decide/cache/prepared.ts';
import { parseRange } from '../../edge-node/decide/cache/ranges.ts';
import { type CompiledPool, type CompiledSnapshot, findRoute, findSite } from '../../edge-node/decide/compile.ts';
import { HealthTable } from '../../edge-node/decide/health.ts';
import { renderResponse } from '../../edge-node/decide/http1/response-head.ts';
import { candidates, OriginOrder } from '../../edge-node/decide/order.ts';
import { AccessLines } from '../../edge-node/io/access-line.ts';
import { accessRecord } from '../../edge-node/io/access-record.ts';
import { CountingLedger } from '../../edge-node/io/ledger.ts';
import { MemoryStore } from '../../edge-node/io/memory-store.ts';
import { Exchange } from '../../edge-node/pipeline/exchange.ts';
import { createEngine } from '../../edge-node/pipeline/run.ts';
import { STEPS } from '../../edge-node/pipeline/steps/index.ts';
import type { ClientPort, Serving, Settled } from '../../edge-node/ports.ts';
import { systemClock } from '../../infra/runtime/clock.ts';
import { silentLog } from '../../infra/runtime/log.ts';
import { Metrics } from '../../infra/runtime/metrics.ts';
import { seededRandom } from '../../infra/runtime/random.ts';
import { measure } from '../nanoseconds.ts';

const TARGETS = Array.from({ length: 1_000 }, (_, i) => `/assets/section-${i % 97}/file-${i}.html`);
const LONDON = { latitude: 51.5, longitude: -0.1 };

const pool: CompiledPool = {
  name: 'pool',
  origins: Array.from({ length: 5 }, (_, i) => ({
    pool: 'pool',
    name: `origin-${i}`,
    address: 'http://127.0.0.1',
    location: { latitude: 10 * i, longitude: 0 },
    weight: 1,
  })),
  timeouts: { connectMs: 1, headMs: 1, bodyMs: 1 },
};
const cache = { enabled: true, defaultTtlMs: 0 };
const site = { name: 'site', number: 1, tally: undefined, routes: [{ pathPrefix: '/', pool, cache }] };
const snapshot: CompiledSnapshot = {
  version: { epoch: 1, revision: 1 },
  edge: { name: 'bench', location: LONDON, trustedProxies: [] },
  location: LONDON,
  hosts: new Map([['www.example.com', site]]),
  wildcards: new Map(),
  pools: [pool],
};
const serving: Serving = { snapshot, isTrusted: () => false, order: new OriginOrder() };

const fields = Object.freeze([
  'host',
  'www.example.com',
  'user-agent',
  'Mozilla/5.0 (X11; Linux x86_64)',
  'accept',
  '*/*',
]);
function requestOf(target: string, recurring: boolean): RequestHead {
  const line = { method: 'GET', target, version: '1.1', scheme: 'http', sni: undefined } as const;
  return { ...line, fields, recurring, peer: '192.0.2.1', hasBody: false };
}

const stored = ['content-type', 'text/html', 'cache-control', 'public, max-age=600', 'etag', '"33a64df551425fcc"'];
stored.push('last-modified', 'Sun, 06 Nov 1994 08:49:37 GMT', 'date', new Date().toUTCString());
const store = new MemoryStore();
const now = Date.now();
for (const target of TARGETS) {
  const head = makeHead({
    status: 200,
    fields: stored,
    requestFields: fields,
    requestedAt: now,
    receivedAt: now,
    lifetimeMs: 600_000,
    lifetimeSource: 'max-age',
    vary: [],
    barrier: 0,
  });
  const key = cacheKey('http', 'www.example.com', target);
  store.put({
    key,
    host: 'www.example.com',
    purgeTarget: purgeName('www.example.com', target),
    head,
    body: Buffer.alloc(1024),
  });
}

/** Takes the answer and throws it away. */
class Client implements ClientPort {
  readonly request: RequestHead;
  readonly body = undefined;
  onDrain = undefined;
  onGone = undefined;

  constructor(request: RequestHead) {
    this.request = request;
  }
  answer(): void {}
  answerPrepared(): void {}
  inform(): void {}
  begin(): void {}
  write(): boolean {
    return true;
  }
  end(): void {}
  abort(): void {}
}

function engineWith(sink?: (exchange: Settled, bytes: number, ms: number) => void) {
  return createEngine(
    {
      edge: 'bench',
      cacheName: cacheName('bench'),
      clock: systemClock,
      random: seededRandom(1),
      log: silentLog,
      serving: () => serving,
      locate: () => ({ location: LONDON, city: '', country: '', source: 'database' }),
      cache: store,
      barrier: new PurgeBarrier(),
      health: new HealthTable(),
      origins: {
        send: () => {
          throw new Error('a hit asks no origin');
        },
        suspect: () => undefined,
      },
      ledger: new CountingLedger(new Metrics(), systemClock, sink),
    },
    STEPS,
  );
}

const fresh = TARGETS.map((target) => requestOf(target, false));
const known = TARGETS.slice(0, 100).map((target) => requestOf(target, true));
const at = <T>(list: readonly T[], i: number): T => {
  const item = list[i % list.length];
  if (item === undefined) throw new Error('an empty list');
  return item;
};

measure('admit', (i) => admit(at(fresh, i), 'meridian-bench'));
measure('find site and route', (i) => {
  const found = findSite(snapshot, 'www.example.com');
  return found && findRoute(found, at(TARGETS, i));
});
measure('cache key', (i) => cacheKey('http', 'www.example.com', at(TARGETS, i)).length);
const health = new HealthTable();
measure('rank 5 origins for a known place, and walk them by health', () => {
  const ranked = serving.order.ranked(pool, LONDON, 0.5);
  return candidates(ranked, (origin) => health.status(origin.pool, origin.name, 0).status === 'up', 5);
});
measure('parse a Range', () => parseRange('bytes=1000-2023', 1_048_576));

const engine = engineWith();
measure('the pipeline: hit, request not seen before', (i) => engine.start(new Exchange(new Client(at(fresh, i)), 0)));
measure('the pipeline: hit, request known', (i) => engine.start(new Exchange(new Client(at(known, i)), 0)));

const lines = new AccessLines('bench');
const logging = engineWith((x, bytes, ms) => void lines.line(accessRecord(x, bytes, ms, now)));
measure('... and its line in the access log', (i) => logging.start(new Exchange(new Client(at(known, i)), 0)));

const entry = at(store.find(cacheKey('http', 'www.example.com', at(TARGETS, 0))), 0);
const ready = new Preparation(entry.head, 7, 593, 'meridian-bench; hit; ttl=593', true);
measure('prepare the answer of this second', () => wholeAnswer(ready, entry.body));
const prepared = wholeAnswer(ready, entry.body);
measure('render it, with 1 KiB', () => renderResponse(200, prepared.fields, entry.body, 1024));
