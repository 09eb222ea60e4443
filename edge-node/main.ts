// The main thread of one edge: joins the parts, starts them in order, stops them in reverse. Requests are served by worker threads
// (worker.ts); here are the control stream, the snapshot on its way to all of them, probes, purges, the operator's port, and
// the take-over of the ports by another process.
import { randomBytes, randomUUID } from 'node:crypto';
import path from 'node:path';
import { openGeo } from '../geo/database.ts';
import { Lifecycle } from '../infra/runtime/lifecycle.ts';
import { Metrics } from '../infra/runtime/metrics.ts';
import { TlsSource } from '../infra/runtime/tls-files.ts';
import { Snapshot } from '../proto/gen/meridian/v1/resources.ts';
import { formatVersion } from '../proto/version.ts';
import { compileSnapshot } from './decide/compile.ts';
import { HealthTable } from './decide/health.ts';
import { OriginOrder } from './decide/order.ts';
import { SiteNumbers } from './decide/site-numbers.ts';
import { type AdminServer, type Readiness, startAdminServer } from './io/admin-server.ts';
import { readCertificates } from './io/certificates.ts';
import { ControlStream } from './io/control-stream.ts';
import { DiskCache } from './io/disk/disk-cache.ts';
import type { DiskHandles } from './io/disk/disk-memory.ts';
import type { OutdatedHandles } from './io/disk/outdated-keys.ts';
import type { EdgeOptions } from './io/edge-options.ts';
import { addGauges } from './io/gauges.ts';
import { guardedLookup } from './io/guarded-lookup.ts';
import { CountingLedger } from './io/ledger.ts';
import { NO_LIMITS } from './io/limits.ts';
import { httpProbe } from './io/probe.ts';
import { Prober } from './io/prober.ts';
import { SharedBarrier } from './io/shared/shared-barrier.ts';
import { SharedConnections } from './io/shared/shared-connections.ts';
import { SharedCounters } from './io/shared/shared-counters.ts';
import { SharedFills } from './io/shared/shared-fills.ts';
import { SharedPulse } from './io/shared/shared-pulse.ts';
import { SharedSkips } from './io/shared/shared-skips.ts';
import { SharedStore } from './io/shared/shared-store.ts';
import { SnapshotApplier } from './io/snapshot-applier.ts';
import { SnapshotFile } from './io/snapshot-file.ts';
import { parseListen } from './io/sockets.ts';
import { Sweeper } from './io/sweeper.ts';
import { openDesk } from './io/take-over/desk.ts';
import { Inheritance } from './io/take-over/inheritance.ts';
import { type LaunchCommand, startSuccessor } from './io/take-over/successor.ts';
import { Doors } from './io/threads/doors.ts';
import { HealthBoard } from './io/threads/health-board.ts';
import { resolve } from './io/threads/held-port.ts';
import { allocateMemory, workersOf } from './io/threads/memory.ts';
import { spawnWorker } from './io/threads/spawn.ts';
import { Supervisor } from './io/threads/supervisor.ts';
import { trustedProxies } from './io/trusted-proxies.ts';
import { explainAll } from './pipeline/explain.ts';
import type { Serving } from './ports.ts';

export { debugTokenProblem } from './io/debug-token.ts';
export type { EdgeOptions } from './io/edge-options.ts';
export { edgeLimits, LIMITS, type Limit, type LimitUnit } from './io/limits.ts';
export { askForTakeOver } from './io/take-over/desk.ts';
export { VARIABLE as INHERITED } from './io/take-over/inheritance.ts';

export interface Edge {
  readonly port: number;
  readonly adminPort: number;
  readonly tlsPort: number | undefined;
  /** Resolves when another process has the ports: what is left is to `stop`. */
  readonly handedOver: Promise<void>;
  /** Goes on in a new file of the access log, which was moved away. */
  reopenLog(): void;
  /** Answers what is in flight, then closes. */
  stop(): Promise<void>;
}

export const DEFAULT_MAX_CONNECTIONS = 20_000;
export const DEFAULT_MAX_CLIENT_CONNECTIONS = 1_000;

const SOFTWARE_VERSION = '0.1.0';
const STOP_GRACE_MS = 4_000;
/** After a take-over there is no hurry: nobody waits for this process to end. */
const HANDED_OVER_GRACE_MS = 30_000;
/** What the main thread waits for the cache's lock, milliseconds: it is the one that sees to dead threads. */
const PATIENCE_MS = 50;
const WORKER = new URL('worker.ts', import.meta.url);

/** Rejects with a sentence that says what is wrong when a port, a file or a database cannot be had. */
export async function startEdge(options: EdgeOptions): Promise<Edge> {
  const { name, log, clock, random } = options;
  const lifecycle = new Lifecycle(clock, log);
  const inheritance = options.inherited === undefined ? undefined : new Inheritance(options.inherited);
  try {
    return await start();
  } catch (error) {
    inheritance?.failed(error instanceof Error ? error.message : String(error));
    await lifecycle.stop();
    throw error;
  }

  async function start(): Promise<Edge> {
    const { limits = NO_LIMITS } = options;
    const workers = workersOf(options.threads, log);
    const memory = allocateMemory({
      workers,
      limits,
      cacheBytes: options.cacheBytes,
      connections: {
        connections: options.maxConnections ?? DEFAULT_MAX_CONNECTIONS,
        perClient: options.maxClientConnections ?? DEFAULT_MAX_CLIENT_CONNECTIONS,
      },
      now: clock.now(),
    });
    const metrics = new Metrics(new SharedCounters(memory.counters, 0));
    const cache = new SharedStore(memory.store, 0, { localBytes: 0, patienceMs: PATIENCE_MS });
    const barrier = new SharedBarrier(memory.barrier);
    const connections = new SharedConnections(memory.connections, 0);
    const pulse = new SharedPulse(memory.pulse);
    const fills = new SharedFills(memory.fills, 0);
    const doors = new Doors();
    let disk: DiskCache | undefined;

    // Threads load while the rest is read.
    const supervisor: Supervisor = new Supervisor({
      clock,
      random,
      log,
      spawn: (thread, events) => {
        const { accessLog, accessLogSample = 1, debugToken } = options;
        const setup = { thread, workers, edge: name, accessLog, accessLogSample, debugToken, limits, ...memory };
        return spawnWorker(options.worker ?? WORKER, setup, events, options.threadHeapMib);
      },
      pulse: (thread) => pulse.read(thread),
      onDied(thread) {
        cache.recover(thread);
        disk?.recover(thread);
        connections.recover(thread);
        fills.recover(thread);
        doors.forget(thread);
        metrics.counter('meridian_thread_deaths_total', 'Threads that ended, by whatever cause.').add();
      },
      onMessage(thread, message) {
        if (message.kind === 'suspect') prober.suspect(message.pool, message.origin);
        else if (message.kind === 'log') log[message.level](message.fields, message.message);
        else if (message.kind === 'listening') doors.opened(thread, message);
      },
    });
    lifecycle.onStop('threads that were loading', () => supervisor.stop(0));
    const loaded = supervisor.start(workers);
    loaded.catch(() => undefined);
    if (options.diskCache) {
      const { folder, maxBytes } = options.diskCache;
      const awaited = (handles: OutdatedHandles) => supervisor.useDisk({ kind: 'disk-awaited', handles });
      const opened = (handles: DiskHandles) => supervisor.useDisk({ kind: 'disk', handles });
      const diskOptions = {
        folder,
        limits: { ...limits.disk, maxBytes },
        threads: workers + 1,
        mayWait: inheritance !== undefined,
      };
      disk = new DiskCache(diskOptions, { clock, log, metrics, barrier, awaited, opened });
      lifecycle.onStop('disk cache', () => disk?.close());
      await disk.open();
    }

    const geo = await openGeo({
      ...(options.geoFiles && { files: options.geoFiles }),
      own: { latitude: 0, longitude: 0 },
      clock,
      log,
      onReplaced: () => supervisor.useGeo({ kind: 'geo', images: geo.images() }),
    });
    lifecycle.onStop('geo database', () => geo.close());
    supervisor.useGeo({ kind: 'geo', images: geo.images() });

    // Probes may end before the stream is there.
    let control: ControlStream | undefined;
    const health = new HealthTable();
    const board = new HealthBoard(health, clock);
    lifecycle.onStop('health board', () => board.stop());
    const prober = new Prober({
      clock,
      random,
      log,
      table: health,
      probe: httpProbe(clock, guardedLookup()),
      onTransition(transition) {
        board.publish();
        control?.reportTransition(transition);
      },
    });
    lifecycle.onStop('probes', () => prober.stop());

    let serving: Serving | undefined;
    let generations = 0;
    const siteNumbers = new SiteNumbers();
    const prepare = async (snapshot: Snapshot) => {
      const compiled = compileSnapshot(snapshot, name);
      const isTrusted = trustedProxies(compiled.edge.trustedProxies);
      const next = board.prepare(compiled.pools);
      generations += 1;
      const bytes = Snapshot.encode(snapshot).finish();
      const sites = new Map(siteNumbers.assign(snapshot.sites.map((site) => site.name)));
      const commit = await supervisor.prepare({ id: generations, snapshot: bytes, sites, health: next.handles });
      return async () => {
        serving = { snapshot: compiled, isTrusted, order: new OriginOrder() };
        geo.setOwn(compiled.location);
        prober.setPools(snapshot.pools);
        // Before the memory of its pools is written for the first time.
        health.setDrained(snapshot.drained);
        next.use();
        await commit();
      };
    };
    const file = new SnapshotFile(path.join(options.dataDir, 'snapshot'), log);
    const snapshots = new SnapshotApplier({ edge: name, log, metrics, file, prepare });
    if (options.snapshot) await (await prepare(options.snapshot))();
    else await snapshots.restore();

    const ledger = new CountingLedger(metrics, clock, undefined);
    const sweeper = new Sweeper(cache, barrier, clock);
    lifecycle.onStop('sweeper', () => sweeper.stop());
    const locate = (ip: string) => geo.locate(ip);
    const skips = new SharedSkips(memory.skips);
    const skipped = (key: string) => skips.find(key);
    const controlCertificates = await openControlTls(options);
    if (controlCertificates) lifecycle.onStop('control certificates', () => controlCertificates.stop());
    control = options.snapshot
      ? undefined
      : new ControlStream(
          {
            edge: name,
            instance: randomUUID(),
            softwareVersion: SOFTWARE_VERSION,
            controlPlanes: options.control,
            ...(controlCertificates && { tls: () => controlCertificates.current }),
            purgePosition: disk?.position,
          },
          {
            clock,
            random,
            log,
            metrics,
            snapshots,
            barrier: disk?.journal(sweeper) ?? sweeper,
            health: {
              report: () => health.report(),
              setView(view, now) {
                health.setView(view, now);
                board.publish();
              },
            },
            statistics: () => ledger.statistics(cache),
            explain: (question) =>
              explainAll(
                question,
                { edge: name, clock, serving: () => serving, locate, cache, barrier, health, skipped },
                (key) => disk?.peek(key),
              ),
            count: (targets) => sweeper.count(targets),
          },
        );
    if (control) disk?.holdUntil(() => control?.synced === true || control?.lastError !== undefined);
    addGauges(metrics, { cache, connections, doors, sites: siteNumbers, snapshot: () => serving?.snapshot });

    const http = parseListen(options.listen, 'the listening address');
    const https = options.tls && parseListen(options.tls.listen, 'the address for TLS');
    const adminAt = parseListen(options.adminListen, 'the admin port');
    const certificates = options.tls && (await readCertificates(options.tls.certificates, clock.now()));
    for (const warning of certificates?.warnings ?? []) log.warn({}, warning);
    if (certificates) log.info({ certificates: certificates.pairs.length }, 'certificates are loaded');
    await loaded;

    const adminHost = await resolve(adminAt.host);
    const adminInherited = inheritance?.take('admin', adminHost, adminAt.port);
    await doors.hold('http', http, inheritance);
    if (https) await doors.hold('https', https, inheritance);
    lifecycle.onStop('held ports', () => doors.release());
    if (inheritance) {
      if (!serving) throw new Error('there is nothing to serve: no snapshot is in the data folder');
      await inheritance.ready();
    }

    const handedOver = Promise.withResolvers<void>();
    let admin: AdminServer | undefined;
    let grace = STOP_GRACE_MS;
    const desk = await openDesk(options.dataDir, handOver, log);
    lifecycle.onStop('take-over', () => desk.close());
    const link = () => ({ connected: control?.connected ?? false, synced: control?.synced ?? false });
    const readiness = (): Readiness =>
      serving
        ? { ready: true, details: { version: formatVersion(serving.snapshot.version), ...link() } }
        : { ready: false, reason: control?.lastError ?? 'no configuration has arrived yet', details: link() };
    admin = await startAdminServer(
      { log, metrics, readiness },
      adminHost,
      adminInherited?.port ?? adminAt.port,
      adminInherited?.descriptors[0],
    );
    const { close: closeAdmin, port: adminPort } = admin;
    lifecycle.onStop('admin port', closeAdmin);

    lifecycle.onStop('threads', () => supervisor.stop(grace), HANDED_OVER_GRACE_MS + 5_000);
    const secure = certificates && { certificates, ticketKeys: randomBytes(48) };
    await supervisor.listen((thread) => doors.message(thread, workers, secure));
    control?.start();
    lifecycle.onStop('control stream', async () => {
      control?.stop();
      await snapshots.idle();
    });
    return {
      port: doors.port('http') ?? 0,
      adminPort,
      tlsPort: doors.port('https'),
      handedOver: handedOver.promise,
      reopenLog: () => supervisor.reopenLogs(),
      stop: () => lifecycle.stop(),
    };

    /** Nothing is given up before the new process is ready; then nobody accepts for the moment that it takes to tell it. */
    async function handOver(command: LaunchCommand): Promise<number> {
      if (options.tied !== undefined) throw new Error(options.tied);
      if (admin === undefined || grace !== STOP_GRACE_MS)
        throw new Error('this edge is just starting, or handing over');
      grace = HANDED_OVER_GRACE_MS;
      log.info({ program: command.program, args: command.args }, 'a new process is started to take the ports over');
      try {
        const ports = doors.inherited({ host: adminHost, port: adminPort, descriptors: admin.descriptors });
        const successor = await startSuccessor(command, ports, inheritance?.highest ?? 0, clock);
        desk.close();
        control?.stop();
        await Promise.all([supervisor.close(), closeAdmin()]);
        disk?.stopSweeping();
        // From now on purges reach the other: the last answers here are not to come from what it may be told to purge.
        if (control) barrier.reset();
        await successor.go();
        log.info({ pid: successor.pid }, 'the ports are handed over; ending when all answers are sent');
        handedOver.resolve();
        return successor.pid;
      } catch (error) {
        grace = STOP_GRACE_MS;
        throw error;
      }
    }
  }
}

async function openControlTls({ name, controlTls, clock, log }: EdgeOptions): Promise<TlsSource | undefined> {
  if (!controlTls) return undefined;
  const source = await TlsSource.open(controlTls, clock, log);
  const { subjectAltName = 'no name' } = source.current;
  if (!subjectAltName.split(', ').includes(`URI:meridian://edge/${name}`)) {
    source.stop();
    throw new Error(
      `${controlTls.pair.cert} is not for the edge "${name}" but for ${subjectAltName}: expected URI:meridian://edge/${name}, ` +
        `as "meridian certs --edge ${name}" makes it`,
    );
  }
  return source;
}
