// The data path of an edge between real sockets: the listener, the steps and the client of the origins, on ports of their
// own. What is started inside a test is stopped with it; what is started outside, at the end of the file.
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { after } from 'node:test';
import { PurgeBarrier } from '../../edge-node/decide/barrier.ts';
import type { FillLimits } from '../../edge-node/decide/cache/fills.ts';
import { compileSnapshot } from '../../edge-node/decide/compile.ts';
import type { FieldList } from '../../edge-node/decide/fields.ts';
import { HealthTable } from '../../edge-node/decide/health.ts';
import { OriginOrder } from '../../edge-node/decide/order.ts';
import { guardedLookup } from '../../edge-node/io/guarded-lookup.ts';
import { type Listener, type ListenerEvents, listenHttp1 } from '../../edge-node/io/http1/listener.ts';
import { DEFAULT_HTTP1_LIMITS, type Http1Limits } from '../../edge-node/io/http1/shared.ts';
import { MemoryStore } from '../../edge-node/io/memory-store.ts';
import { OriginClient } from '../../edge-node/io/origin/client.ts';
import { connector } from '../../edge-node/io/origin/connector.ts';
import { Exchange } from '../../edge-node/pipeline/exchange.ts';
import { FillTable } from '../../edge-node/pipeline/fill-table.ts';
import { createEngine } from '../../edge-node/pipeline/run.ts';
import { STEPS } from '../../edge-node/pipeline/steps/index.ts';
import type { ExchangeEnd, Ports } from '../../edge-node/ports.ts';
import { systemClock } from '../../infra/runtime/clock.ts';
import { silentLog } from '../../infra/runtime/log.ts';
import { seededRandom } from '../../infra/runtime/random.ts';
import type { OriginTimeouts } from '../../proto/gen/meridian/v1/resources.ts';
import { poolOf, snapshotOf } from './snapshots.ts';

export interface Received {
  readonly method: string;
  readonly target: string;
  /** Names in lower case. */
  readonly fields: FieldList;
}

export interface TestOrigin {
  readonly address: string;
  /** Every request that arrived, in order. */
  readonly received: Received[];
  stop(): Promise<void>;
}

/** An origin that notes what it is asked. `answer` may look at the body. */
export async function startOrigin(
  answer: (req: http.IncomingMessage, res: http.ServerResponse) => void,
): Promise<TestOrigin> {
  const received: Received[] = [];
  const server = http.createServer((req, res) => {
    const fields = req.rawHeaders.map((text, index) => (index % 2 === 0 ? text.toLowerCase() : text));
    received.push({ method: req.method ?? '', target: req.url ?? '', fields });
    answer(req, res);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const stop = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  after(stop);
  return { address: `http://127.0.0.1:${port}`, received, stop };
}

export interface TestEdge {
  readonly port: number;
  readonly listener: Listener;
  /** For another listener on the same data path. */
  readonly events: ListenerEvents;
  readonly cache: MemoryStore;
  readonly barrier: PurgeBarrier;
  readonly fills: FillTable;
  /** How exchanges ended, in that order. */
  readonly ends: ExchangeEnd[];
  /** "code: detail" of everything that the listener refused by itself. */
  readonly refused: string[];
}

/** Of origins, so long that only what a test is about ends an exchange, however busy the machine. */
const PATIENT: OriginTimeouts = { connectMs: 30_000, headMs: 30_000, bodyMs: 30_000 };

/** `origins`: addresses by name. `timeouts`: of them, where they are what a test is about. */
export async function startEdge(
  origins: Readonly<Record<string, string>>,
  limits: Partial<Http1Limits> = {},
  timeouts: Partial<OriginTimeouts> = {},
  fillLimits: Partial<FillLimits> = {},
): Promise<TestEdge> {
  const pool = { ...poolOf(origins), timeouts: { ...PATIENT, ...timeouts } };
  const snapshot = compileSnapshot({ ...snapshotOf(1), pools: [pool] }, 'edge-1');
  const lookup = guardedLookup();
  const client = new OriginClient({
    clock: systemClock,
    connector: (address) => connector(address, { lookup }),
    suspect: () => undefined,
    limits: { connections: 64, waiting: 64 },
  });
  client.use(snapshot);
  const cache = new MemoryStore();
  const barrier = new PurgeBarrier();
  const ends: ExchangeEnd[] = [];
  const refused: string[] = [];
  const serving = { snapshot, isTrusted: () => false, order: new OriginOrder() };
  const ports: Ports = {
    edge: 'edge-1',
    cacheName: 'meridian-edge-1',
    clock: systemClock,
    random: seededRandom(1),
    log: silentLog,
    serving: () => serving,
    locate: () => ({ location: snapshot.location, city: '', country: '', source: 'no-database' }),
    cache,
    barrier,
    health: new HealthTable(),
    origins: client,
    ledger: { record: (_exchange, end) => ends.push(end) },
  };
  const engine = createEngine(ports, STEPS, undefined, new FillTable(ports, fillLimits));
  const events: ListenerEvents = {
    onExchange: (end) => engine.start(new Exchange(end, systemClock.monotonic())),
    onRefused: (code, detail) => refused.push(`${code}: ${detail}`),
  };
  const listener = await listenHttp1({ host: '127.0.0.1', port: 0 }, events, systemClock, {
    ...DEFAULT_HTTP1_LIMITS,
    ...limits,
  });
  after(async () => {
    await listener.stop(systemClock, 0);
    await client.close();
  });
  return { port: listener.port, listener, events, cache, barrier, fills: engine.fills, ends, refused };
}
