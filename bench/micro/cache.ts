// What a cache hit costs, step by step, in nanoseconds: `node bin/node26.js bench/micro/cache.ts`. Each line is the best of
// several rounds; the machine's mood is in the others.
import { PurgeBarrier } from '../../edge-node/decide/barrier.ts';
import { parseCacheControl } from '../../edge-node/decide/cache/cache-control.ts';
import { cacheName, cacheStatus } from '../../edge-node/decide/cache/cache-status.ts';
import { makeHead, type Storable } from '../../edge-node/decide/cache/entry.ts';
import { judge } from '../../edge-node/decide/cache/freshness.ts';
import { cacheKey, purgeName } from '../../edge-node/decide/cache/key.ts';
import { classifyRequest } from '../../edge-node/decide/cache/request.ts';
import { decideStore } from '../../edge-node/decide/cache/storable.ts';
import { notModified } from '../../edge-node/decide/cache/validation.ts';
import { selectVariant } from '../../edge-node/decide/cache/vary.ts';
import { MemoryStore } from '../../edge-node/io/memory-store.ts';
import { measure } from '../nanoseconds.ts';

const NOW = 1_780_000_000_000;
const POLICY = { enabled: true, defaultTtlMs: 0 };
const ENTRIES = 10_000;

const request = [
  'host',
  'example.com',
  'user-agent',
  'Mozilla/5.0 (X11; Linux x86_64)',
  'accept',
  'text/html,*/*;q=0.8',
];
request.push('accept-encoding', 'gzip, deflate, br, zstd', 'accept-language', 'en', 'cookie', 'a=1; b=2');
const response = ['date', new Date(NOW).toUTCString(), 'content-type', 'text/html', 'content-length', '100'];
response.push('cache-control', 'public, max-age=600', 'etag', '"abc"', 'server', 'x', 'x-a', '1', 'x-b', '2');

function storable(target: string, vary: string[]): Storable {
  const fields = [...response, ...vary];
  const times = { requestedAt: NOW, receivedAt: NOW };
  const decision = decideStore({
    method: 'GET',
    requestFields: request,
    status: 200,
    responseFields: fields,
    policy: POLICY,
    ...times,
  });
  if (decision.kind === 'skip') throw new Error(decision.reason);
  const head = makeHead({ status: 200, fields, requestFields: request, barrier: 0, ...times, ...decision });
  const names = { key: cacheKey('http', 'example.com', target), host: 'example.com' };
  return { ...names, purgeTarget: purgeName('example.com', target), head, body: Buffer.alloc(100) };
}

const targets = Array.from({ length: ENTRIES }, (_, i) => `/assets/section-${i % 97}/file-${i}.html`);
const keys = targets.map((target) => cacheKey('http', 'example.com', target));
const plain = new MemoryStore();
const varied = new MemoryStore();
for (const target of targets) {
  plain.put(storable(target, []));
  varied.put(storable(target, ['vary', 'accept-encoding']));
}
const quiet = new PurgeBarrier();
const busy = new PurgeBarrier();
for (let i = 0; i < 50_000; i += 1) {
  const url = { $case: 'url', value: { host: 'example.com', path: `/purged/${i}` } } as const;
  busy.apply({ sequence: i + 1, targets: [{ target: url }], soft: false });
}
const key = (i: number) => keys[i % ENTRIES] ?? '';
const name = cacheName('bench');

function hit(store: MemoryStore, barrier: PurgeBarrier, fields: readonly string[], i: number): number {
  const asked = classifyRequest('GET', fields, POLICY);
  if (asked.kind !== 'lookup') return -1;
  const entry = selectVariant(store.find(key(i)), fields);
  if (entry === undefined || barrier.covers(entry.head.barrier, entry.host, entry.purgeTarget)) return -2;
  const judgement = judge(entry.head, asked.directives, NOW + 1000);
  if (judgement.kind !== 'fresh') return -3;
  store.touch(entry);
  return judgement.ttlMs;
}

const conditional = [...request, 'if-none-match', '"abc"'];
const head = plain.find(key(0))[0]?.head;
if (head === undefined) throw new Error('the store is empty');

measure('hit, nothing purged', (i) => hit(plain, quiet, request, i));
measure('hit, 50,000 URLs purged', (i) => hit(plain, busy, request, i));
measure('hit, Vary: accept-encoding', (i) => hit(varied, quiet, request, i));
measure('miss', (i) => plain.find(keys[i % ENTRIES] === undefined ? '' : 'http://example.com/absent'));
measure('  classify a request', () => classifyRequest('GET', request, POLICY));
measure('  find', (i) => plain.find(key(i)));
measure('  select', () => selectVariant(plain.find(key(0)), request));
measure('  judge', () => judge(head, parseCacheControl(undefined), NOW + 1000));
measure('  touch', (i) => plain.find(key(i)).forEach((entry) => void plain.touch(entry)));
measure('  304 by If-None-Match', () => notModified('GET', conditional, head));
measure('Cache-Status of a hit', (i) => cacheStatus(name, { kind: 'hit', ttlMs: i }));
// Two by turns: the last one that was read is remembered.
const controls = ['public, max-age=600, s-maxage=60', 'public, max-age=600, s-maxage=61'];
measure('parse a Cache-Control of a response', (i) => parseCacheControl(controls[i % 2]));
measure('decide to store, and make the head', () => storable('/x', ['vary', 'accept-encoding']).head);
measure('put', (i) => plain.put(storable(targets[i % ENTRIES] ?? '', [])));
