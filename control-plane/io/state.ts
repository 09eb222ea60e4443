// The present World, kept in memory: read whole from the store at one revision, then carried on by a watch from the next.
// When the watch is lost, the last world goes on being served while it is read again, with growing pauses, for as long as it
// takes. All changes come in this way, also those that this process wrote itself, so that there is one order of events.
import { createHash } from 'node:crypto';
import { type BackoffOptions, backoff } from '../../infra/runtime/backoff.ts';
import { type Clock, sleep, type Timer } from '../../infra/runtime/clock.ts';
import type { Log } from '../../infra/runtime/log.ts';
import type { Random } from '../../infra/runtime/random.ts';
import { decideEpoch, decodeEpoch, type EpochRecord, nextEpoch } from '../decide/epoch.ts';
import { KEYS, PREFIX } from '../decide/keys.ts';
import { advanceWorld, fingerprint, readWorld, type World } from '../decide/world.ts';
import { type Store, StoreError, type Watch } from '../ports.ts';

export interface StatePorts {
  readonly store: Store;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

/** Between two attempts to read a store that is out of reach. */
const RETRY: BackoffOptions = { firstMs: 200, maxMs: 2000 };

/** For what was written to come back by the watch. */
export const ECHO_MS = 5000;

/** Between two comparisons of what is known with what is stored. */
const AUDIT_MS = 60_000;

interface Waiter {
  readonly revision: number;
  readonly arrived: () => void;
}

export class State {
  readonly #ports: StatePorts;
  readonly #listeners = new Set<(world: World) => void>();
  readonly #waiters = new Set<Waiter>();
  #world: World;
  /** Why the store is out of reach; undefined while the watch stands. */
  #lost: string | undefined;
  #watch: Watch | undefined;
  #stopped = false;
  /** Gives the watch up, so that all is read again. */
  #abandon: (reason: string) => void = () => undefined;
  readonly #auditTimer: Timer;
  #asking: Promise<boolean> | undefined;
  #askingNext: Promise<boolean> | undefined;

  private constructor(ports: StatePorts, world: World) {
    this.#ports = ports;
    this.#world = world;
    const { clock, random } = ports;
    this.#auditTimer = clock.every(AUDIT_MS * (0.9 + random.next() / 5), () => void this.#audit());
    void this.#follow();
  }

  /**
   * Reads the store, trying for `patienceMs` while it is out of reach. Throws a StoreError when it cannot be read at all, or
   * holds what Meridian did not write.
   */
  static async open(ports: StatePorts, patienceMs: number): Promise<State> {
    const { store, clock, random, log } = ports;
    const deadline = clock.monotonic() + patienceMs;
    for (let attempt = 0; ; attempt += 1) {
      try {
        return new State(ports, await readStore(ports, undefined));
      } catch (error) {
        if (!(error instanceof StoreError) || error.kind === 'unusable') throw error;
        if (clock.monotonic() >= deadline) {
          const advice = store.kind === 'etcd' ? '; start etcd, or name the addresses where it runs' : '';
          throw new StoreError('unavailable', `${error.message} (tried for ${patienceMs / 1000} s)${advice}`, error);
        }
        log.warn({ store: store.place, reason: error.message }, 'the store is out of reach; trying again');
        await sleep(clock, backoff(attempt, RETRY, random));
      }
    }
  }

  get world(): World {
    return this.#world;
  }

  /** Why what is known may be old; undefined while the store is followed. */
  get lost(): string | undefined {
    return this.#lost;
  }

  /** `listener` is called after each change of the world. Must not throw. Returns how to end that. */
  onChange(listener: (world: World) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Waits until the world holds all up to `revision`, at most `ms` milliseconds; whether it does. */
  async reached(revision: number, ms: number): Promise<boolean> {
    if (this.#world.revision >= revision) return true;
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const waiter = { revision, arrived: () => resolve(true) };
    this.#waiters.add(waiter);
    const timer = this.#ports.clock.after(ms, () => resolve(false));
    try {
      return await promise;
    } finally {
      timer.cancel();
      this.#waiters.delete(waiter);
    }
  }

  /**
   * Waits until the world holds all that was durable when this was called, at most `ms` milliseconds. False when the store
   * did not say in time. Calls made at the same time ask the store once.
   */
  async catchUp(ms: number): Promise<boolean> {
    // A question already on its way may have been answered before this call was made, so that it does not count.
    this.#askingNext ??= (this.#asking ?? Promise.resolve(false)).then(() => {
      this.#asking = this.#askingNext;
      this.#askingNext = undefined;
      return this.#ask(ms);
    });
    const late = Promise.withResolvers<boolean>();
    const timer = this.#ports.clock.after(ms, () => late.resolve(false));
    try {
      return await Promise.race([this.#askingNext, late.promise]);
    } finally {
      timer.cancel();
    }
  }

  /** Begins an epoch later than `seen`, unless another does so first; then everything that edges hold is older. */
  async renewEpoch(seen: number): Promise<void> {
    const { store, clock, log } = this.#ports;
    const { revision, epoch, epochRevision } = this.#world;
    const record = { epoch: nextEpoch(clock.now(), epoch, seen), identity: await store.identity() };
    log.error(
      { epoch: record.epoch, seen },
      'an edge holds what this store does not: the store went back in time, or another took its place; beginning a new epoch',
    );
    await beginEpoch(store, record, epochRevision);
    await this.reached(revision + 1, ECHO_MS);
  }

  /**
   * Reads the store whole and compares it with what is known, by hash. They differ only by a defect, of the watch or of what
   * carries the world on; what was read counts then.
   */
  async #audit(): Promise<void> {
    const { store, log } = this.#ports;
    const known = this.#world;
    if (this.#lost !== undefined || this.#stopped) return;
    try {
      const { revision, entries } = await store.read(PREFIX);
      const newest = entries.reduce((most, { modRevision }) => Math.max(most, modRevision), 0);
      if (!(await this.reached(newest, ECHO_MS))) {
        this.#abandon(`revision ${newest} did not come by the watch within ${ECHO_MS} ms`);
        return;
      }
      const result = readWorld(revision, entries);
      // When something changed meanwhile, the next audit will do.
      if (this.#world !== known || result.kind !== 'world') return;
      const [expected, found] = [hash(fingerprint(result.world)), hash(fingerprint(known))];
      if (expected === found) return;
      log.error({ revision, expected, found }, 'what was known is not what the store holds; taking what it holds');
      this.#become(result.world);
    } catch (error) {
      log.debug({ reason: reasonOf(error) }, 'the store could not be audited');
    }
  }

  stop(): void {
    this.#stopped = true;
    this.#auditTimer.cancel();
    this.#watch?.stop();
  }

  async #ask(ms: number): Promise<boolean> {
    const { store } = this.#ports;
    try {
      const readings = await Promise.all([KEYS.epoch, KEYS.head, KEYS.purgeHead].map((key) => store.read(key)));
      const newest = readings.flatMap(({ entries }) => entries.map(({ modRevision }) => modRevision));
      return await this.reached(Math.max(0, ...newest), ms);
    } catch (error) {
      this.#ports.log.debug({ reason: reasonOf(error) }, 'the store did not say what is newest');
      return false;
    }
  }

  async #follow(): Promise<void> {
    const { clock, log, random } = this.#ports;
    while (!this.#stopped) {
      this.#lost = await this.#watchUntilLost();
      log.warn({ reason: this.#lost }, 'lost sight of the store; edges keep what they have, changes are refused');
      for (let attempt = 0; this.#lost !== undefined; attempt += 1) {
        await sleep(clock, backoff(attempt, RETRY, random));
        if (this.#stopped) return;
        try {
          this.#become(await readStore(this.#ports, this.#world));
          this.#lost = undefined;
        } catch (error) {
          if (this.#lost !== reasonOf(error)) log.warn({ reason: reasonOf(error) }, 'the store cannot be read yet');
          this.#lost = reasonOf(error);
        }
      }
      log.info({ revision: this.#world.revision }, 'the store is in sight again');
    }
  }

  #watchUntilLost(): Promise<string> {
    return new Promise((resolve) => {
      const watch = this.#ports.store.watch(PREFIX, this.#world.revision + 1, {
        onBatch: (batch) => {
          const result = advanceWorld(this.#world, batch);
          if (result.kind === 'world') {
            this.#become(result.world);
            return;
          }
          watch.stop();
          resolve(result.reason);
        },
        onLost: resolve,
      });
      this.#watch = watch;
      this.#abandon = (reason) => {
        watch.stop();
        resolve(reason);
      };
    });
  }

  #become(world: World): void {
    if (this.#stopped) return;
    this.#world = world;
    for (const waiter of this.#waiters) if (world.revision >= waiter.revision) waiter.arrived();
    for (const listener of this.#listeners) listener(world);
  }
}

/** `former`: the world before; a store that is behind it, in the same epoch, went back in time. */
async function readStore({ store, clock, log }: StatePorts, former: World | undefined): Promise<World> {
  for (;;) {
    const [identity, { revision, entries }] = await Promise.all([store.identity(), store.read(PREFIX)]);
    const entry = entries.find(({ key }) => key === KEYS.epoch);
    const decision = decideEpoch(entry && readEpoch(entry.value), identity, clock.now());
    if (decision.kind === 'begin') {
      log.info({ ...decision.record, reason: decision.reason }, 'beginning an epoch');
      await beginEpoch(store, decision.record, entry?.modRevision ?? 0);
    } else if (former && revision < former.revision && decision.epoch <= former.epoch) {
      const record = { epoch: nextEpoch(clock.now(), former.epoch), identity };
      log.error({ ...record, revision, before: former.revision }, 'the store went back in time; beginning a new epoch');
      await beginEpoch(store, record, entry?.modRevision ?? 0);
    } else {
      const result = readWorld(revision, entries);
      if (result.kind === 'world') return result.world;
      throw new StoreError('unusable', `the store at ${store.place} holds what Meridian cannot use: ${result.reason}`);
    }
  }
}

function readEpoch(text: string): EpochRecord {
  try {
    return decodeEpoch(text);
  } catch (error) {
    throw new StoreError('unusable', `the value of ${KEYS.epoch} cannot be read: ${reasonOf(error)}`, error);
  }
}

/** A conflict is as good: another control plane began one at the same moment. */
async function beginEpoch(store: Store, record: EpochRecord, modRevision: number): Promise<void> {
  await store.commit({
    compares: [{ key: KEYS.epoch, modRevision }],
    operations: [{ kind: 'put', key: KEYS.epoch, value: JSON.stringify(record) }],
  });
}

const hash = (text: string): string => createHash('sha256').update(text).digest('hex');

const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
