// What clients see of a purge of 100,000 objects under one tag: hits over HTTP/1.1 from an edge of one worker thread, before,
// while and after the space comes back. Prints a table; fails when a hit was none, or the space takes 10 s.
//
//   node bin/node26.js test/soak/purge-http.ts [OBJECTS]
import { once } from 'node:events';
import { test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { startOrigin } from '../support/edge.ts';
import { demo, Node } from '../support/threads.ts';
import { compute } from './compute.ts';
import type { ClientSetup } from './purge-client.ts';
import { quantiles } from './quantiles.ts';

const OBJECTS = Number(process.argv[2] ?? 100_000);
const HOT = 500;
const CONNECTIONS = 8;
const PHASES = ['filling', 'warming up', 'before', 'while it is swept', 'after', 'while the thread computes'] as const;
const PHASE_MS = 2_000;
const POLL_MS = 60;
/** From one of the sweeper's steps to the next, which take about one of them. */
const STEP_MS = 6;
const UNITS = 200_000;
const UNIT_NS = 1000;
const BODY = Buffer.alloc(1024, 'x');

test(`a purge of ${OBJECTS} objects under one tag, as clients see it`, async (t) => {
  const origin = await startOrigin((req, res) => {
    const tag = req.url?.startsWith('/hot/') ? 'hot' : 'all';
    res.writeHead(200, { 'cache-control': 'max-age=3600', 'surrogate-key': tag, 'content-length': BODY.length });
    res.end(BODY);
  });
  const cacheBytes = 2048 * (OBJECTS + HOT);
  const node = await Node.start(t, demo(1, { london: origin.address }), { threads: 1, cacheBytes });
  const control = new SharedArrayBuffer(8);
  const flags = new Int32Array(control);
  const counts = new SharedArrayBuffer(PHASES.length * UNITS * 8);
  const hot = Array.from({ length: HOT }, (_, i) => `/hot/${i}`);
  const workerData: ClientSetup = {
    port: node.edge.port,
    host: 'demo.example',
    connections: CONNECTIONS,
    targets: [...Array.from({ length: OBJECTS }, (_, i) => `/all/${i}`), ...hot],
    hot,
    bodyBytes: BODY.length,
    control,
    counts,
    units: UNITS,
    unitNs: UNIT_NS,
  };
  const client = new Worker(new URL('purge-client.ts', import.meta.url), { workerData });
  const ended = once(client, 'exit');
  await Atomics.waitAsync(flags, 0, 0).value;
  const objects = () => node.metric('meridian_cache_objects');
  if ((await objects()) !== OBJECTS + HOT) throw new Error('not everything was stored');
  await wait(PHASE_MS);
  Atomics.store(flags, 0, 2);
  await wait(PHASE_MS);

  Atomics.store(flags, 0, 3);
  const from = performance.now();
  await node.purge({ $case: 'tag', value: { tag: 'all', hosts: [] } });
  const raisedMs = performance.now() - from;
  while ((await objects()) > HOT) await wait(POLL_MS);
  const sweptMs = performance.now() - from;
  Atomics.store(flags, 0, 4);
  await wait(PHASE_MS);
  // What is not the purge's doing: as much work in as many steps, and as many questions.
  Atomics.store(flags, 0, 5);
  for (const end = performance.now() + sweptMs; performance.now() < end; ) {
    await objects();
    for (let i = 0; i < POLL_MS / STEP_MS; i += 1) {
      compute(1);
      await wait(STEP_MS - 1);
    }
  }
  Atomics.store(flags, 0, -1);
  await ended;

  const tallies = PHASES.map((_, phase) => new Float64Array(counts, phase * UNITS * 8, UNITS));
  console.log(`acknowledged after ${raisedMs.toFixed(1)} ms, space back in ${(sweptMs / 1000).toFixed(2)} s`);
  console.log(`answers that were no hits: ${Atomics.load(flags, 1)}`);
  console.table(tallies.slice(2).map((tally, i) => ({ microseconds: PHASES[i + 2], ...quantiles(tally, UNIT_NS) })));
  if (sweptMs > 10_000 || Atomics.load(flags, 1) > 0)
    throw new Error('the purge took too long, or touched other objects');
});
