// One worker thread of an edge: listeners, engine, origin client and access log, over the memory that all threads share. Started
// and told what to do by the main thread (main.ts; io/threads/messages.ts has the protocol). Sees all of the edge, as main.ts does.
import net, { type Socket } from 'node:net';
import { isMainThread, parentPort, workerData } from 'node:worker_threads';
import { attachGeo } from '../geo/database.ts';
import { systemClock as clock } from '../infra/runtime/clock.ts';
import { Metrics } from '../infra/runtime/metrics.ts';
import { systemRandom as random } from '../infra/runtime/random.ts';
import { Snapshot } from '../proto/gen/meridian/v1/resources.ts';
import { cacheName } from './decide/cache/cache-status.ts';
import { compileSnapshot, findSite } from './decide/compile.ts';
import { OriginOrder } from './decide/order.ts';
import { OTHER_SITES } from './decide/site-numbers.ts';
import { AccessLog } from './io/access-log.ts';
import { accessRecord } from './io/access-record.ts';
import { sampled } from './io/access-sample.ts';
import { openCertificates } from './io/certificates.ts';
import { DebugToken } from './io/debug-token.ts';
import type { DiskHandles } from './io/disk/disk-memory.ts';
import { DiskStore } from './io/disk/disk-store.ts';
import { nodeFiles } from './io/disk/files.ts';
import { NotingStore } from './io/disk/noting-store.ts';
import { OutdatedKeys } from './io/disk/outdated-keys.ts';
import { TieredStore } from './io/disk/tiered-store.ts';
import { FillCounters } from './io/fill-counters.ts';
import { guardedLookup } from './io/guarded-lookup.ts';
import { type Listener, listenHttp1 } from './io/http1/listener.ts';
import { DEFAULT_HTTP1_LIMITS } from './io/http1/shared.ts';
import { DEFAULT_HTTP2_LIMITS } from './io/http2/shared.ts';
import { CountingLedger } from './io/ledger.ts';
import { OriginClient } from './io/origin/client.ts';
import { connector } from './io/origin/connector.ts';
import { DEFAULT_ORIGIN_LIMITS } from './io/origin/shared.ts';
import { SharedBarrier } from './io/shared/shared-barrier.ts';
import { SharedConnections } from './io/shared/shared-connections.ts';
import { SharedCounters } from './io/shared/shared-counters.ts';
import { SharedFills } from './io/shared/shared-fills.ts';
import { SharedHealth } from './io/shared/shared-health.ts';
import { SharedInvalidations } from './io/shared/shared-invalidations.ts';
import { SharedPulse } from './io/shared/shared-pulse.ts';
import { SharedSkips } from './io/shared/shared-skips.ts';
import { SharedStore } from './io/shared/shared-store.ts';
import { type ListenAddress, peerAddress } from './io/sockets.ts';
import {
  type FromWorker,
  type Generation,
  type OpenPort,
  readToWorker,
  type SharedPort,
  type ToWorker,
  type WorkerSetup,
} from './io/threads/messages.ts';
import { Refusals } from './io/threads/refusals.ts';
import { relayedLog } from './io/threads/relayed-log.ts';
import { DEFAULT_TLS_LIMITS, listenTls, type TlsListener } from './io/tls-listener.ts';
import { trustedProxies } from './io/trusted-proxies.ts';
import { debuggedExchange } from './pipeline/debug.ts';
import { Exchange } from './pipeline/exchange.ts';
import { FillTable } from './pipeline/fill-table.ts';
import { createEngine } from './pipeline/run.ts';
import { STEPS } from './pipeline/steps/index.ts';
import type { Ports, Serving } from './ports.ts';

/** Between two suspicions of one origin that are passed on, milliseconds. */
const SUSPECT_GAP_MS = 100;
/** Twice in the time after which the main thread looks (PULSE_MS). */
const BEAT_MS = 500;

if (isMainThread || parentPort === null) throw new Error('worker.ts is run by the main thread of an edge');
const main = parentPort;
const setup = workerData as WorkerSetup;
const { edge, thread, workers } = setup;

const say = (message: FromWorker): void => main.postMessage(message);
const log = relayedLog(say, clock, thread);
const metrics = new Metrics(new SharedCounters(setup.counters, thread));
const ownerOf = (host: string): number => (serving && findSite(serving.snapshot, host)?.number) ?? OTHER_SITES;
const memory = new SharedStore(setup.store, thread, { localBytes: setup.localBytes, ownerOf });
const connections = new SharedConnections(setup.connections, thread);
const pulse = new SharedPulse(setup.pulse);
const refusals = new Refusals({ metrics, log, clock });
const geo = attachGeo([], { latitude: 0, longitude: 0 });

const suspected = new Map<string, number>();
/** Of what all threads together may have at one origin. */
const share = (whole: number): number => Math.ceil(whole / workers);
const originLimits = { ...DEFAULT_ORIGIN_LIMITS, ...setup.limits.origin };
const lookup = guardedLookup();
const origins = new OriginClient({
  clock,
  connector: (origin) => connector(origin, { lookup }),
  limits: {
    ...originLimits,
    connections: share(originLimits.connections),
    tunnels: share(originLimits.tunnels),
    waiting: share(originLimits.waiting),
    idle: share(originLimits.idle),
  },
  suspect(origin) {
    const key = `${origin.pool}/${origin.name}`;
    const now = clock.monotonic();
    if (now - (suspected.get(key) ?? Number.NEGATIVE_INFINITY) < SUSPECT_GAP_MS) return;
    suspected.set(key, now);
    say({ kind: 'suspect', pool: origin.pool, origin: origin.name });
  },
});

let serving: Serving | undefined;
let health: SharedHealth | undefined;
let prepared: { readonly id: number; swap(): void } | undefined;

function prepare({ id, snapshot, sites, health: memory }: Generation): void {
  const compiled = compileSnapshot(Snapshot.decode(snapshot), edge, sites);
  const isTrusted = trustedProxies(compiled.edge.trustedProxies);
  const nextHealth = new SharedHealth(memory, compiled.pools);
  const swap = (): void => {
    serving = { snapshot: compiled, isTrusted, order: new OriginOrder() };
    health = nextHealth;
    suspected.clear();
    geo.setOwn(compiled.location);
    origins.use(compiled);
  };
  prepared = { id, swap };
}

function commit(id: number): void {
  if (prepared?.id !== id) throw new Error(`thread ${thread} is to serve generation ${id}, which it has not prepared`);
  prepared.swap();
  prepared = undefined;
}

const accessLog = await openAccessLog().catch((error: Error) => error);
const logged = accessLog instanceof AccessLog ? accessLog : undefined;
const ports: Ports & { cache: Ports['cache'] } = {
  edge,
  cacheName: cacheName(edge),
  clock,
  random,
  log,
  serving: () => serving,
  locate: (address) => geo.locate(address),
  cache: memory,
  barrier: new SharedBarrier(setup.barrier),
  health: { status: (pool, origin) => health?.status(pool, origin) ?? SharedHealth.assumed },
  origins,
  ledger: new CountingLedger(
    metrics,
    clock,
    logged &&
      sampled(
        (x, bytes, ms, share) => logged.log(accessRecord(x, bytes, ms, clock.now(), share)),
        setup.accessLogSample,
        random,
      ),
  ),
  fillEvents: new FillCounters(metrics),
  skips: new SharedSkips(setup.skips),
  claims: workers > 1 ? new SharedFills(setup.fills, thread) : undefined,
  invalidations: workers > 1 ? new SharedInvalidations(setup.invalidations) : undefined,
};
const engine = createEngine(ports, STEPS, undefined, new FillTable(ports, setup.limits.fills));
const debug = setup.debugToken === undefined ? undefined : new DebugToken(setup.debugToken, metrics);
const isTrusted = (peer: string): boolean => serving?.isTrusted(peer) === true;
const events = {
  onExchange: (client: Exchange['client']): void => {
    const now = clock.monotonic();
    const debugged = debug?.opens(client.request, isTrusted) === true;
    engine.start(debugged ? debuggedExchange(client, now, ports) : new Exchange(client, now));
  },
  onRefused: (reason: string, detail: string): void => refusals.note(reason, detail),
};

let noting: NotingStore | undefined;
let disk: DiskStore | undefined;
const plain: Listener[] = [];
const secure: TlsListener[] = [];

if (accessLog instanceof Error) fail(accessLog);
else {
  main.on('message', (message: unknown) => handle(readToWorker(message)));
  clock.every(BEAT_MS, () => pulse.beat(thread));
  say({ kind: 'started' });
}

function handle(message: ToWorker | undefined): void {
  switch (message?.kind) {
    case undefined:
      throw new Error(`thread ${thread} was told what is not of the protocol`);
    case 'geo':
      geo.use(message.images);
      break;
    case 'disk-awaited':
      noting = new NotingStore(memory, new OutdatedKeys(message.handles));
      ports.cache = noting;
      break;
    case 'disk':
      useDisk(message.handles);
      break;
    case 'prepare':
      try {
        prepare(message.generation);
        say({ kind: 'prepared', id: message.generation.id });
      } catch (error) {
        say({ kind: 'refused', id: message.generation.id, reason: messageOf(error) });
      }
      break;
    case 'commit':
      commit(message.id);
      say({ kind: 'committed', id: message.id });
      break;
    case 'listen':
      listenAll(message).then((open) => say({ kind: 'listening', ...open }), fail);
      break;
    case 'reopen':
      logged?.reopen();
      break;
    case 'close':
      void closeAll().then(() => say({ kind: 'closed' }));
      break;
    case 'stop':
      void stopAll(message.graceMs).then(() => process.exit(0));
      break;
  }
}

function useDisk(handles: DiskHandles): void {
  // Segments are freed by the main thread, which looks of its own accord.
  disk = new DiskStore(handles, thread, { files: nodeFiles, log, crowded: () => undefined });
  // What was noted while the tier was being opened may have come too late for that.
  for (const key of noting?.recent ?? []) disk.remove(key);
  noting = undefined;
  const { maxBytes, maxObjectBytes } = setup.store.limits;
  ports.cache = new TieredStore(memory, disk, { maxMemoryBody: Math.min(maxObjectBytes, Math.ceil(maxBytes / 8)) });
}

async function listenAll({
  http,
  https,
}: ToWorker & { kind: 'listen' }): Promise<Record<'http', OpenPort> & { https: OpenPort | undefined }> {
  const { connections: most } = setup.connections.limits;
  const limits = { ...DEFAULT_HTTP1_LIMITS, ...setup.limits.http1, connections: most };
  const openHttp = await open(http, async (address) => {
    const listener = await listenHttp1(address, events, clock, limits, admit);
    plain.push(listener);
    return listener.port;
  });
  if (https === undefined) return { http: openHttp, https: undefined };
  const certificates = openCertificates(https.certificates);
  const ticketKeys = Buffer.from(https.ticketKeys);
  const onHttp1 = (socket: Socket): void => plain[0]?.serve(socket);
  const openHttps = await open(https, async (address) => {
    const tlsLimits = { ...DEFAULT_TLS_LIMITS, ...setup.limits.tls, connections: most };
    const http2Limits = { ...DEFAULT_HTTP2_LIMITS, ...setup.limits.http2 };
    const listener = await listenTls({
      address,
      certificates,
      ticketKeys,
      events,
      onHttp1,
      clock,
      admit,
      limits: tlsLimits,
      http2Limits,
    });
    secure.push(listener);
    return listener.port;
  });
  return { http: openHttp, https: openHttps };
}

/** Listens on what was handed over, else on a socket of this thread's own. */
async function open(port: SharedPort, listenAt: (address: ListenAddress) => Promise<number>): Promise<OpenPort> {
  const { host, handedOver } = port;
  if (handedOver.length > 0) {
    for (const socket of handedOver) {
      const found = await listenAt({ host, port: port.port, socket });
      if (found !== port.port) throw new Error(`a socket that was handed over is of port ${found}, not ${port.port}`);
    }
    return { port: port.port, descriptors: handedOver };
  }
  if (!port.reusePort) return { port: await listenAt({ host, port: port.port }), descriptors: [] };
  const socket = new net.BoundSocket({ host, port: port.port, reusePort: true });
  const descriptor = socket.fd();
  return { port: await listenAt({ host, port: port.port, socket }), descriptors: descriptor < 0 ? [] : [descriptor] };
}

function admit(socket: Socket): boolean {
  const address = peerAddress(socket);
  const refusal = connections.open(address, serving?.isTrusted(address) !== true);
  if (refusal !== undefined) {
    refusals.note(refusal, `from ${address}`);
    return false;
  }
  socket.once('close', () => connections.close(address));
  return true;
}

async function closeAll(): Promise<void> {
  await Promise.all([...plain, ...secure].map((listener) => listener.close()));
}

async function stopAll(graceMs: number): Promise<void> {
  // At once: the second closes what the first handed over to it.
  const handedOver = Promise.all(secure.map((listener) => listener.stop(graceMs)));
  await Promise.all(plain.map((listener) => listener.stop(clock, graceMs, handedOver)));
  await origins.close();
  await disk?.close();
  await logged?.close();
}

async function openAccessLog(): Promise<AccessLog | undefined> {
  const { accessLog: where } = setup;
  if (where === 'off') return undefined;
  const destination = where === '-' ? 1 : where;
  return AccessLog.open({ edge, destination }, { clock, log, metrics });
}

function fail(error: unknown): void {
  say({ kind: 'failed', reason: messageOf(error) });
  process.exit(1);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
