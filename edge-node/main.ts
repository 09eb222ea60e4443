// One edge node: joins the parts, starts them in order, stops them in reverse. The only file of the edge that sees all of it.
import { randomUUID } from 'node:crypto';
import type { Socket } from 'node:net';
import path from 'node:path';
import { openGeo } from '../geo/database.ts';
import type { Clock } from '../infra/runtime/clock.ts';
import { Lifecycle } from '../infra/runtime/lifecycle.ts';
import type { Log } from '../infra/runtime/log.ts';
import { Metrics } from '../infra/runtime/metrics.ts';
import type { Random } from '../infra/runtime/random.ts';
import { canonicalHost } from '../proto/canonical-url.ts';
import type { Snapshot } from '../proto/gen/meridian/v1/resources.ts';
import { formatVersion } from '../proto/version.ts';
import { PurgeBarrier } from './decide/barrier.ts';
import { cacheName } from './decide/cache/cache-status.ts';
import type { CacheStore } from './decide/cache/entry.ts';
import { compileSnapshot } from './decide/compile.ts';
import { HealthTable } from './decide/health.ts';
import { OriginOrder } from './decide/order.ts';
import { AccessLog } from './io/access-log.ts';
import { accessRecord } from './io/access-record.ts';
import { type Readiness, startAdminServer } from './io/admin-server.ts';
import { loadCertificates } from './io/certificates.ts';
import { ControlStream } from './io/control-stream.ts';
import { holdUntil, startDiskTier } from './io/disk/open.ts';
import { TieredStore } from './io/disk/tiered-store.ts';
import { guardedConnector, guardedLookup } from './io/guarded-lookup.ts';
import { type Listener, listenHttp1 } from './io/http1/listener.ts';
import { CountingLedger } from './io/ledger.ts';
import { MemoryStore } from './io/memory-store.ts';
import { OriginClient } from './io/origin-client.ts';
import { httpProbe } from './io/probe.ts';
import { Prober } from './io/prober.ts';
import { SnapshotApplier } from './io/snapshot-applier.ts';
import { SnapshotFile } from './io/snapshot-file.ts';
import { Sweeper } from './io/sweeper.ts';
import { listenTls, type TlsEvents, type TlsListener } from './io/tls-listener.ts';
import { trustedProxies } from './io/trusted-proxies.ts';
import { Exchange } from './pipeline/exchange.ts';
import { explain } from './pipeline/explain.ts';
import { createEngine } from './pipeline/run.ts';
import { STEPS } from './pipeline/steps/index.ts';
import type { Ports, Serving } from './ports.ts';

export interface EdgeOptions {
  /** As declared by an edge resource. */
  readonly name: string;
  /** "host:port" of each control plane; may be empty when `snapshot` is given. */
  readonly control: readonly string[];
  /** "host:port" for clients, and for `/healthz`, `/readyz`, `/metrics`. Port 0: any free one. */
  readonly listen: string;
  readonly adminListen: string;
  /** Serve https, too: "host:port", and the folder of the certificates. */
  readonly tls?: { readonly listen: string; readonly certificates: string };
  /** Holds the last good snapshot. */
  readonly dataDir: string;
  /** MaxMind DB files; default: DB-IP's city data. Empty: clients are taken to be where the edge is. */
  readonly geoFiles?: readonly string[];
  /** Bytes of memory for the cache. */
  readonly cacheBytes: number;
  /** Keep it on disk as well: the folder, and how many bytes it may have there. */
  readonly diskCache?: { readonly folder: string; readonly maxBytes: number };
  /** A file's path, "-" for standard output, or "off". */
  readonly accessLog: string;
  /** Serve this and nothing else, without a control plane. */
  readonly snapshot?: Snapshot;
  readonly log: Log;
  readonly clock: Clock;
  readonly random: Random;
}

export interface Edge {
  readonly port: number;
  readonly adminPort: number;
  readonly tlsPort: number | undefined;
  /** Answers what is in flight, then closes. */
  stop(): Promise<void>;
}

const SOFTWARE_VERSION = '0.1.0';
const STOP_GRACE_MS = 4_000;
/** Larger bodies are on disk alone, if there is a disk cache. */
const MAX_MEMORY_BODY = 16 * 1024 * 1024;
const CONNECTIONS_PER_ORIGIN = 128;
const WAITING_PER_ORIGIN = 1_024;

/** Rejects with a sentence that says what is wrong when a port, a file or a database cannot be had. */
export async function startEdge(options: EdgeOptions): Promise<Edge> {
  const { name, log, clock, random } = options;
  const lifecycle = new Lifecycle(clock, log);
  try {
    return await start();
  } catch (error) {
    await lifecycle.stop();
    throw error;
  }

  async function start(): Promise<Edge> {
    const metrics = new Metrics();
    const barrier = new PurgeBarrier();
    const health = new HealthTable();
    const maxMemoryBody = Math.min(MAX_MEMORY_BODY, Math.ceil(options.cacheBytes / 8));
    const memory = new MemoryStore({ maxBytes: options.cacheBytes, maxObjectBytes: maxMemoryBody });
    const disk =
      options.diskCache &&
      (await startDiskTier(
        { folder: options.diskCache.folder, limits: { maxBytes: options.diskCache.maxBytes }, threads: 1 },
        { clock, log, barrier, metrics },
      ));
    if (disk) lifecycle.onStop('disk cache', () => disk.close());
    const cache = disk ? new TieredStore(memory, disk.store, { maxMemoryBody }) : memory;
    const geo = await openGeo({
      ...(options.geoFiles && { files: options.geoFiles }),
      own: { latitude: 0, longitude: 0 },
      clock,
      log,
    });
    lifecycle.onStop('geo database', () => geo.close());

    // Probes may end before the stream is there.
    let control: ControlStream | undefined;
    const lookup = guardedLookup();
    const prober = new Prober({
      clock,
      random,
      log,
      table: health,
      probe: httpProbe(clock, lookup),
      onTransition: (transition) => control?.reportTransition(transition),
    });
    lifecycle.onStop('probes', () => prober.stop());
    const origins = new OriginClient({
      connections: CONNECTIONS_PER_ORIGIN,
      waiting: WAITING_PER_ORIGIN,
      connector: (timeout) => guardedConnector({ timeout }, lookup),
      suspect: (origin) => prober.suspect(origin.pool, origin.name),
    });
    lifecycle.onStop('origin connections', () => origins.close());

    let serving: Serving | undefined;
    const prepare = (snapshot: Snapshot) => {
      const compiled = compileSnapshot(snapshot, name);
      const isTrusted = trustedProxies(compiled.edge.trustedProxies);
      return () => {
        serving = { snapshot: compiled, isTrusted, order: new OriginOrder() };
        geo.setOwn(compiled.location);
        origins.use(compiled);
        prober.setPools(snapshot.pools);
      };
    };
    const snapshots = new SnapshotApplier({
      edge: name,
      log,
      metrics,
      file: new SnapshotFile(path.join(options.dataDir, 'snapshot'), log),
      prepare,
    });
    if (options.snapshot) prepare(options.snapshot)();
    else await snapshots.restore();

    const accessLog = await openAccessLog(options, metrics);
    if (accessLog) lifecycle.onStop('access log', () => accessLog.close());
    const ledger = new CountingLedger(
      metrics,
      clock,
      accessLog && ((x, bytes, ms) => accessLog.log(accessRecord(x, bytes, ms, clock.now()))),
    );
    const ports: Ports = {
      edge: name,
      cacheName: cacheName(name),
      clock,
      random,
      log,
      serving: () => serving,
      locate: (address) => geo.locate(address),
      cache,
      barrier,
      health,
      origins,
      ledger,
    };
    const sweeper = new Sweeper(cache, barrier, clock);
    lifecycle.onStop('sweeper', () => sweeper.stop());
    control = options.snapshot
      ? undefined
      : new ControlStream(
          {
            edge: name,
            instance: randomUUID(),
            softwareVersion: SOFTWARE_VERSION,
            controlPlanes: options.control,
            purgePosition: disk?.position,
          },
          {
            clock,
            random,
            log,
            metrics,
            snapshots,
            barrier: disk ? disk.journal(sweeper) : sweeper,
            health,
            statistics: () => ledger.statistics(cache),
            explain: (question) => explain(question, ports),
          },
        );

    if (disk && control) {
      const held = holdUntil(disk, clock, () => control?.synced === true || control?.lastError !== undefined);
      lifecycle.onStop('wait for purges', () => held.cancel());
    }
    gauges(metrics, cache, () => serving);
    const adminAddress = address(options.adminListen, 'the admin port');
    const link = () => ({ connected: control?.connected ?? false, synced: control?.synced ?? false });
    const readiness = (): Readiness =>
      serving
        ? { ready: true, details: { version: formatVersion(serving.snapshot.version), ...link() } }
        : { ready: false, reason: control?.lastError ?? 'no configuration has arrived yet', details: link() };
    const admin = await startAdminServer({ log, metrics, readiness }, adminAddress.host, adminAddress.port);
    lifecycle.onStop('admin port', () => admin.close());

    const engine = createEngine(ports, STEPS);
    const refused = 'Requests and fields that the listener refused, by reason.';
    const events: TlsEvents = {
      onExchange: (client) => engine.start(new Exchange(client, clock.monotonic())),
      onRefused: (reason, detail) => {
        metrics.counter('meridian_listener_refused_total', refused, { reason }).add();
        log.debug({ reason, detail }, 'refused by the listener');
      },
    };
    const listener = await listenHttp1(address(options.listen, 'the listening address'), events, clock);
    let secure: TlsListener | undefined;
    // At once: the first closes what the second handed over to it.
    lifecycle.onStop('listeners', async () => {
      await Promise.all([listener.stop(clock, STOP_GRACE_MS), secure?.stop(STOP_GRACE_MS)]);
    });
    secure = options.tls && (await startTls(options.tls, listener, events, options));
    control?.start();
    lifecycle.onStop('control stream', async () => {
      control?.stop();
      await snapshots.idle();
    });
    return { port: listener.port, adminPort: admin.port, tlsPort: secure?.port, stop: () => lifecycle.stop() };
  }
}

async function openAccessLog(options: EdgeOptions, metrics: Metrics): Promise<AccessLog | undefined> {
  const { accessLog, name, clock, random, log } = options;
  if (accessLog === 'off') return undefined;
  const destination = accessLog === '-' ? 1 : accessLog;
  return AccessLog.open({ edge: name, destination, sample: 1 }, { clock, random, log, metrics });
}

async function startTls(
  { listen: text, certificates: folder }: NonNullable<EdgeOptions['tls']>,
  listener: Listener,
  events: TlsEvents,
  { clock, log }: EdgeOptions,
): Promise<TlsListener> {
  const certificates = await loadCertificates(folder, clock.now());
  for (const warning of certificates.warnings) log.warn({}, warning);
  log.info({ names: certificates.names.length }, 'certificates are loaded');
  const onHttp1 = (socket: Socket): void => listener.serve(socket);
  return await listenTls({ ...address(text, 'the address for TLS'), certificates, events, onHttp1, clock });
}

function gauges(metrics: Metrics, cache: CacheStore, serving: () => Serving | undefined): void {
  metrics.gauge('meridian_cache_objects', 'Stored responses.', () => cache.stats().objects);
  metrics.gauge('meridian_cache_bytes', 'Bytes that stored responses take.', () => cache.stats().bytes);
  metrics.gauge('meridian_cache_evictions', 'Stored responses evicted for space.', () => cache.stats().evictions);
  metrics.gauge('meridian_snapshot_revision', 'Revision of the snapshot that serves; 0: none.', () => {
    return serving()?.snapshot.version.revision ?? 0;
  });
}

function address(text: string, what: string): { host: string; port: number } {
  const colon = text.lastIndexOf(':');
  const port = text.slice(colon + 1);
  const host = canonicalHost(text.slice(0, colon));
  if (colon < 1 || host.kind === 'malformed' || !/^\d{1,5}$/.test(port) || Number(port) > 65_535) {
    throw new Error(`"${text}" is not ${what}: expected HOST:PORT, such as 127.0.0.1:8080`);
  }
  return { host: host.host.replace(/^\[|\]$/g, ''), port: Number(port) };
}
