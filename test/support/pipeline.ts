// A request through the real steps, with a client and origins that do what the test says. After each test it is checked that
// every exchange was entered in the ledger exactly once and that nothing is still being gathered for the cache.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PurgeBarrier } from '../../edge-node/decide/barrier.ts';
import { cacheName } from '../../edge-node/decide/cache/cache-status.ts';
import type { NotStoredReason } from '../../edge-node/decide/cache/explain.ts';
import type { FillClaims, FillLimits } from '../../edge-node/decide/cache/fills.ts';
import { type CompiledOrigin, compileSnapshot } from '../../edge-node/decide/compile.ts';
import type { FieldList } from '../../edge-node/decide/fields.ts';
import { HealthTable } from '../../edge-node/decide/health.ts';
import { OriginOrder } from '../../edge-node/decide/order.ts';
import { MemoryStore } from '../../edge-node/io/memory-store.ts';
import type { StoreLimits } from '../../edge-node/io/store-limits.ts';
import { Exchange } from '../../edge-node/pipeline/exchange.ts';
import { FillTable } from '../../edge-node/pipeline/fill-table.ts';
import { createEngine, type Engine, type StepFunction, type Steps } from '../../edge-node/pipeline/run.ts';
import { STEPS } from '../../edge-node/pipeline/steps/index.ts';
import type { Step } from '../../edge-node/pipeline/table.ts';
import type { ClientPort, ExchangeEnd, FillEvent, OriginPort, Ports, Serving, Settled } from '../../edge-node/ports.ts';
import type { Location } from '../../geo/location.ts';
import type { Log } from '../../infra/runtime/log.ts';
import { seededRandom } from '../../infra/runtime/random.ts';
import type { PurgeTarget } from '../../proto/gen/meridian/v1/purge.ts';
import type { CachePolicy, Snapshot } from '../../proto/gen/meridian/v1/resources.ts';
import { FakeClock } from './fake-clock.ts';
import { FakeCall, FakeClient, type RequestOptions } from './fake-ports.ts';
import { poolOf, snapshotOf } from './snapshots.ts';

interface Settlement {
  readonly exchange: Settled;
  readonly end: ExchangeEnd;
  readonly bytes: number;
}

interface Line {
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  readonly fields: object;
  readonly message: string;
}

export interface WorldOptions {
  readonly snapshot?: Snapshot;
  readonly steps?: Partial<Steps>;
  readonly cacheLimits?: Partial<StoreLimits>;
  readonly fillLimits?: Partial<FillLimits>;
  readonly claims?: FillClaims;
}

export const LONDON: Location = { latitude: 51.5, longitude: -0.1 };
export const SYDNEY: Location = { latitude: -33.9, longitude: 151.2 };
const PARIS: Location = { latitude: 48.9, longitude: 2.4 };

/** Site `demo` on origins in London, Paris and Sydney; `/raw` is not cached, `/empty` has no origin. */
export function demoSnapshot(revision = 1, policy: Partial<CachePolicy> = {}): Snapshot {
  const cities = poolOf({ london: 'http://london', paris: 'http://paris', sydney: 'http://sydney' });
  const places = [LONDON, PARIS, SYDNEY];
  const origins = cities.origins.map((origin, index) => ({ ...origin, location: places[index] }));
  const cache = { enabled: true, defaultTtlMs: 0, ...policy };
  const routes = [
    { pathPrefix: '/', pool: 'cities', cache },
    { pathPrefix: '/raw', pool: 'cities', cache: { ...cache, enabled: false } },
    { pathPrefix: '/empty', pool: 'empty', cache },
  ];
  return {
    ...snapshotOf(revision),
    sites: [{ name: 'demo', hostnames: ['demo.example'], routes }],
    pools: [
      { ...cities, origins },
      { ...cities, name: 'empty', origins: [] },
    ],
  };
}

export class World {
  readonly clock = new FakeClock();
  readonly cache: MemoryStore;
  readonly barrier = new PurgeBarrier();
  readonly health = new HealthTable();
  readonly clients: FakeClient[] = [];
  /** Every request that reached an origin, in order. */
  readonly calls: FakeCall[] = [];
  readonly suspected: string[] = [];
  readonly settled: Settlement[] = [];
  readonly lines: Line[] = [];
  /** Why the last answer for each key was not stored. */
  readonly skips = new Map<string, { readonly reason: NotStoredReason; readonly at: number }>();
  readonly fillEvents: FillEvent[] = [];
  /** "fetch -> store": every step from one to the next that was taken. */
  readonly transitions = new Set<string>();
  /** Where addresses are; London unless said here. */
  readonly places = new Map<string, Location>();
  /** Set by a test in which something is meant to go wrong. */
  errorsExpected = false;
  serving: Serving | undefined;
  readonly fills: FillTable;
  readonly #engine: Engine;

  constructor({ snapshot = demoSnapshot(), steps = {}, cacheLimits = {}, fillLimits = {}, claims }: WorldOptions = {}) {
    this.cache = new MemoryStore(cacheLimits);
    this.apply(snapshot);
    const ports = { ...this.#ports(), claims };
    this.fills = new FillTable(ports, fillLimits);
    this.#engine = createEngine(ports, this.#watch({ ...STEPS, ...steps }), undefined, this.fills);
  }

  apply(snapshot: Snapshot, trusted: readonly string[] = []): void {
    const isTrusted = (address: string) => trusted.includes(address);
    this.serving = { snapshot: compileSnapshot(snapshot, 'edge-1'), isTrusted, order: new OriginOrder() };
    this.health.setPools(snapshot.pools);
  }

  request(options: RequestOptions = {}): FakeClient {
    const client = new FakeClient(options);
    this.clients.push(client);
    this.serve(client);
    return client;
  }

  /** As `request`, for a client of the test's own. */
  serve(client: ClientPort): void {
    this.#engine.start(new Exchange(client, this.clock.monotonic()));
  }

  /** As `request`, for an exchange of the test's own. */
  start(client: FakeClient, make: (ports: Ports) => Exchange): void {
    this.clients.push(client);
    this.#engine.start(make(this.#engine.ports));
  }

  /** The only request of an origin's that is new since the last call of this. */
  call(): FakeCall {
    assert.equal(this.calls.length, this.#taken + 1, 'one new request to an origin');
    const call = this.calls[this.#taken];
    assert.ok(call);
    this.#taken += 1;
    return call;
  }
  #taken = 0;

  /** Fills the cache: a GET that misses and is answered with `text`. */
  store(text = 'stored', fields?: FieldList, options?: RequestOptions): void {
    const client = this.request(options);
    this.call().answer(200, text, fields);
    assert.match(client.cache ?? '', /stored/);
  }

  purge(target: PurgeTarget['target'] = { $case: 'all', value: {} }, soft = false): void {
    this.barrier.apply({ sequence: this.barrier.current + 1, targets: [{ target }], soft });
  }

  /** Measures an origin of pool `cities` until it counts as down. */
  takeDown(...origins: readonly string[]): void {
    const result = { success: false, detail: 'connection refused' };
    for (const origin of origins) {
      for (let i = 0; i < 2; i += 1) this.health.observe('cities', origin, result, this.clock.monotonic());
    }
  }

  /** The one settlement so far, or the last. */
  get last(): Settlement {
    const last = this.settled.at(-1);
    assert.ok(last, 'nothing was entered in the ledger');
    return last;
  }

  logged(level: Line['level']): string[] {
    return this.lines.filter((line) => line.level === level).map(({ message }) => message);
  }

  verify(): void {
    assert.equal(this.settled.length, this.clients.length, 'one entry in the ledger for each exchange');
    assert.equal(new Set(this.settled.map(({ exchange }) => exchange)).size, this.clients.length);
    assert.equal(this.cache.stats().pendingBytes, 0, 'nothing is still being gathered');
    assert.equal(this.fills.stats().waiting, 0, 'nobody waits any more');
    assert.ok(
      this.clients.every(({ state }) => state !== 'open') || this.settled.some(({ end }) => end !== 'complete'),
    );
    if (!this.errorsExpected) assert.deepEqual(this.logged('error'), []);
  }

  #ports(): Ports {
    const log = (level: Line['level']) => (fields: object, message: string) => {
      this.lines.push({ level, fields, message });
    };
    const logger: Log = { debug: log('debug'), info: log('info'), warn: log('warn'), error: log('error') };
    return {
      edge: 'edge-1',
      cacheName: cacheName('edge-1'),
      clock: this.clock,
      random: seededRandom(1),
      log: logger,
      serving: () => this.serving,
      locate: (address) => ({
        location: this.places.get(address) ?? LONDON,
        city: '',
        country: '',
        source: 'database',
      }),
      cache: this.cache,
      barrier: this.barrier,
      health: this.health,
      origins: this.#origins(),
      ledger: { record: (exchange, end, bytes) => this.settled.push({ exchange, end, bytes }) },
      fillEvents: { note: (event) => this.fillEvents.push(event) },
      skips: { note: (key, reason, at) => this.skips.set(key, { reason, at }) },
    };
  }

  #origins(): OriginPort {
    return {
      send: (origin: CompiledOrigin, request, handler) => {
        const call = new FakeCall(origin.name, request, handler);
        this.calls.push(call);
        return call;
      },
      suspect: (origin) => this.suspected.push(origin.name),
    };
  }

  /** The steps, each noting what it led to. */
  #watch(steps: Steps): Steps {
    const note = (from: Step, to: string) => this.transitions.add(`${from} -> ${to}`);
    const watched =
      <S extends Step>(step: S, run: StepFunction<S>): StepFunction<S> =>
      (x, engine) => {
        const resume: Engine['resume'] = (exchange, from, next) => {
          note(from, next);
          engine.resume(exchange, from, next);
        };
        const next = run(x, { ...engine, resume });
        note(step, next);
        return next;
      };
    return {
      admit: watched('admit', steps.admit),
      route: watched('route', steps.route),
      lookUp: watched('lookUp', steps.lookUp),
      collapse: watched('collapse', steps.collapse),
      choose: watched('choose', steps.choose),
      fetch: watched('fetch', steps.fetch),
      refresh: watched('refresh', steps.refresh),
      slice: watched('slice', steps.slice),
      store: watched('store', steps.store),
      respond: watched('respond', steps.respond),
      tunnel: watched('tunnel', steps.tunnel),
      refuse: watched('refuse', steps.refuse),
    };
  }
}

/** Ranges that miss go to the origin as they are. */
export const UNSLICED: WorldOptions = { snapshot: demoSnapshot(1, { sliceBytes: 0 }) };

/** A test with a world of its own, which is verified when the test is over. */
export function pipelineTest(name: string, run: (world: World) => void | Promise<void>, options?: WorldOptions): void {
  test(name, async () => {
    const world = new World(options);
    await run(world);
    world.verify();
  });
}
