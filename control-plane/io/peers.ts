// This replica among the others over one etcd: tells them which edges it has and how far these have come, and hears the same
// of theirs (decide/peers.ts says in which words), so that whoever is asked knows of every edge. Where the store has room for
// one process alone, it does nothing.
//
// Writing is one transaction at a time, a moment after something changed, with all that changed meanwhile; and none at all
// while no other replica is there to read. An edge hangs on one replica: of two that have it, the one whose roster had it
// later keeps it.
import { randomUUID } from 'node:crypto';
import { backoff } from '../../infra/runtime/backoff.ts';
import { type Clock, sleep, type Timer } from '../../infra/runtime/clock.ts';
import type { Log } from '../../infra/runtime/log.ts';
import type { Random } from '../../infra/runtime/random.ts';
import type { Entry, Operation } from '../decide/keys.ts';
import {
  decideMoves,
  decodeMarks,
  decodeRoster,
  decodeTally,
  encodeMarks,
  encodeRoster,
  encodeTally,
  LIVE_PREFIX,
  type LivePart,
  liveKey,
  parseLiveKey,
  type Roster,
  type Tally,
} from '../decide/peers.ts';
import type { Session, Store } from '../ports.ts';
import type { Connection, Fleet } from './fleet.ts';

export interface PeersPorts {
  readonly store: Store;
  readonly fleet: Fleet;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

/** From a replica's last word to its keys' end. */
const SESSION_MS = 10_000;
/** From a change to its write: what comes meanwhile is written with it. */
const GATHER_MS = 5;
/** For a word that the session goes on. */
const KEEP_ALIVE_MS = 3000;
const RETRY = { firstMs: 200, maxMs: 2000 };
/** Between two looks at who has too many edges. */
const REBALANCE_MS = 10_000;
/** An edge that came back after it was sent elsewhere has nowhere else to go, or is wanted here; it is left alone so long. */
const MOVED_MS = 600_000;

interface Peer {
  roster: Roster | undefined;
  /** Since which revision its roster has each edge. */
  readonly since: Map<string, number>;
  marks: string;
  tally: Tally | undefined;
}

export class Peers {
  readonly #ports: PeersPorts;
  /** Among the replicas; without a hyphen. */
  readonly id = randomUUID().slice(0, 8);
  readonly #peers = new Map<string, Peer>();
  /** Own edges: their streams, and since which revision the roster has them; 0 until it is written. */
  readonly #own = new Map<string, { readonly connection: Connection; since: number }>();
  readonly #moved = new Map<string, number>();
  readonly #listeners = new Set<() => void>();
  readonly #eventListeners = new Set<(event: Operation) => void>();
  readonly #timers: Timer[] = [];
  #session: Session | undefined;
  #stopped = false;
  /** Whether the others would see that it is there. */
  #announced = false;
  #roster: Roster = { roster: 1, edges: [] };
  #tally: Tally = { edges: 0, origins: new Map() };
  readonly #dirty = new Set<LivePart>();
  #gathering: Timer | undefined;
  #writing: Promise<void> | undefined;
  #stopWatch: () => void = () => undefined;

  private constructor(ports: PeersPorts) {
    this.#ports = ports;
  }

  /** Rejects with a StoreError when the others cannot be read now. */
  static async open(ports: PeersPorts): Promise<Peers> {
    const peers = new Peers(ports);
    if (ports.store.session) await peers.#begin();
    return peers;
  }

  /** Other replicas that are alive. */
  get count(): number {
    return this.#peers.size;
  }

  /** What the edges of each other replica measured. */
  get tallies(): readonly Tally[] {
    return [...this.#peers.values()].flatMap(({ tally }) => tally ?? []);
  }

  /** `listener` is called when the tallies of others changed. */
  onTally(listener: () => void): void {
    this.#listeners.add(listener);
  }

  /** `listener` hears of every key under LIVE_PREFIX that is written or deleted while the others are in sight. */
  onEvent(listener: (event: Operation) => void): void {
    this.#eventListeners.add(listener);
  }

  /** Writes keys that vanish with this replica. Rejects with a StoreError. */
  async put(entries: readonly { readonly key: string; readonly value: string }[]): Promise<void> {
    await this.#session?.put(entries);
  }

  /** What the edges of this replica measured. */
  tell(tally: Tally): void {
    if (encodeTally(tally) === encodeTally(this.#tally)) return;
    this.#tally = tally;
    this.#changed('health');
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#stopWatch();
    this.#gathering?.cancel();
    for (const timer of this.#timers) timer.cancel();
    await this.#writing;
    await this.#session?.end();
  }

  async #begin(): Promise<void> {
    const { store, fleet, clock, random } = this.#ports;
    this.#session = await store.session?.(SESSION_MS);
    await this.#read();
    fleet.onLocal((edge) => this.#localChanged(edge));
    this.#changed('roster', 'marks', 'health');
    void this.#keepAlive();
    this.#timers.push(clock.every(REBALANCE_MS * (0.9 + random.next() / 5), () => this.#rebalance()));
  }

  #localChanged(edge: string): void {
    const connection = this.#ports.fleet.connection(edge);
    const own = this.#own.get(edge);
    if (own?.connection !== connection) {
      if (connection) this.#own.set(edge, { connection, since: 0 });
      else this.#own.delete(edge);
      this.#changed('roster');
    }
    this.#changed('marks');
  }

  #changed(...parts: LivePart[]): void {
    for (const part of parts) this.#dirty.add(part);
    if (!this.#session || this.#stopped || this.#gathering || this.#writing) return;
    // Alone, it only says that it is there, so that another that comes makes itself known.
    if (this.#peers.size === 0 && this.#announced) return;
    this.#gathering = this.#ports.clock.after(GATHER_MS, () => {
      this.#gathering = undefined;
      this.#writing = this.#write().finally(() => {
        this.#writing = undefined;
        if (this.#dirty.size > 0 && !this.#stopped) this.#changed();
      });
    });
  }

  async #write(): Promise<void> {
    const { fleet, clock, random, log } = this.#ports;
    const parts = new Set(this.#dirty);
    this.#dirty.clear();
    const alone = this.#peers.size === 0;
    const entries: { key: string; value: string }[] = [];
    const put = (part: LivePart, value: string) => entries.push({ key: liveKey(this.id, part), value });
    const fresh = parts.has('roster') ? [...this.#own.values()].filter(({ since }) => since === 0) : [];
    if (parts.has('roster')) {
      this.#roster = { roster: this.#roster.roster + 1, edges: alone ? [] : [...this.#own.keys()] };
      put('roster', encodeRoster(this.#roster));
    }
    if (!alone) {
      const standings = this.#roster.edges.map((edge) => fleet.get(edge));
      put('marks', encodeMarks(this.#roster.roster, standings));
      if (parts.has('health')) put('health', encodeTally(this.#tally));
    }
    if (entries.length === 0) return;
    try {
      const revision = (await this.#session?.put(entries)) ?? 0;
      this.#announced = true;
      if (!alone) for (const own of fresh) own.since = revision;
    } catch (error) {
      for (const part of parts) this.#dirty.add(part);
      log.debug({ err: error }, 'could not tell the other replicas what changed; trying again');
      await sleep(clock, backoff(3, RETRY, random));
    }
  }

  async #keepAlive(): Promise<void> {
    const { store, clock, random, log } = this.#ports;
    while (!this.#stopped) {
      await sleep(clock, (SESSION_MS / 4) * (0.8 + random.next() * 0.4));
      if (this.#stopped) return;
      try {
        const late = sleep(clock, KEEP_ALIVE_MS).then((): true => true);
        if (await Promise.race([this.#session?.keepAlive(), late])) continue;
        this.#session = await store.session?.(SESSION_MS);
        this.#announced = false;
        log.info({}, 'the session of this replica was over; begun another');
        this.#changed('roster', 'marks', 'health');
      } catch (error) {
        log.debug({ err: error }, 'the session of this replica could not be kept alive yet');
      }
    }
  }

  async #read(): Promise<void> {
    const { store } = this.#ports;
    const { revision, entries } = await store.read(LIVE_PREFIX);
    const found = new Set(entries.map(({ key }) => parseLiveKey(key)?.replica));
    for (const replica of this.#peers.keys()) if (!found.has(replica)) this.#forget(replica);
    this.#take(entries);
    const watch = store.watch(LIVE_PREFIX, revision + 1, {
      onBatch: (batch) => {
        const put = batch.events.filter((event) => event.kind === 'put');
        this.#take(put.map(({ key, value }) => ({ key, value, modRevision: batch.revision })));
        for (const event of batch.events) {
          this.#deleted(event);
          for (const listener of this.#eventListeners) listener(event);
        }
      },
      onLost: (reason) => void this.#readAgain(reason),
    });
    this.#stopWatch = () => watch.stop();
  }

  async #readAgain(reason: string): Promise<void> {
    const { clock, random, log } = this.#ports;
    log.info({ reason }, 'lost sight of the other replicas');
    for (let attempt = 0; !this.#stopped; attempt += 1) {
      await sleep(clock, backoff(attempt, RETRY, random));
      if (this.#stopped) return;
      try {
        await this.#read();
        return;
      } catch (error) {
        log.debug({ err: error }, 'the other replicas cannot be read yet');
      }
    }
  }

  #deleted(event: Operation): void {
    const parsed = parseLiveKey(event.key);
    if (event.kind === 'delete' && parsed?.part === 'roster') this.#forget(parsed.replica);
  }

  #forget(replica: string): void {
    if (!this.#peers.delete(replica)) return;
    this.#ports.log.info({ replica, left: this.#peers.size }, 'another replica is gone');
    this.#ports.fleet.setRemote(replica, new Map());
    for (const listener of this.#listeners) listener();
  }

  /** Rosters first, since marks name edges by their place in one. */
  #take(entries: readonly Entry[]): void {
    const told = new Set<string>();
    let tallied = false;
    for (const wanted of ['roster', 'marks', 'health'] as const) {
      for (const { key, value, modRevision } of entries) {
        const parsed = parseLiveKey(key);
        if (parsed?.part !== wanted || parsed.replica === this.id) continue;
        const { replica } = parsed;
        const peer = this.#peer(replica);
        if (wanted === 'health') {
          peer.tally = decodeTally(value);
          tallied = true;
          continue;
        }
        told.add(replica);
        if (wanted === 'marks') peer.marks = value;
        else this.#takeRoster(peer, decodeRoster(value), modRevision);
      }
    }
    for (const replica of told) {
      const peer = this.#peer(replica);
      const standings = peer.roster && decodeMarks(peer.roster, peer.marks);
      if (standings) this.#ports.fleet.setRemote(replica, standings);
    }
    if (tallied) for (const listener of this.#listeners) listener();
  }

  #peer(replica: string): Peer {
    let peer = this.#peers.get(replica);
    if (!peer) {
      peer = { roster: undefined, since: new Map(), marks: '', tally: undefined };
      this.#peers.set(replica, peer);
      this.#ports.log.info({ replica, others: this.#peers.size }, 'another replica is there');
      this.#changed('roster', 'marks', 'health');
    }
    return peer;
  }

  #takeRoster(peer: Peer, roster: Roster | undefined, revision: number): void {
    peer.roster = roster;
    const present = new Set(roster?.edges);
    for (const edge of peer.since.keys()) if (!present.has(edge)) peer.since.delete(edge);
    for (const edge of present) {
      if (peer.since.has(edge)) continue;
      peer.since.set(edge, revision);
      const own = this.#own.get(edge);
      if (own && own.since !== 0 && own.since < revision) own.connection.replaced(undefined);
    }
  }

  #rebalance(): void {
    const { clock, log } = this.#ports;
    const now = clock.monotonic();
    for (const [edge, at] of this.#moved) if (now - at > MOVED_MS) this.#moved.delete(edge);
    const others = [...this.#peers.values()].map(({ roster }) => roster?.edges.length ?? 0);
    let moves = decideMoves(this.#own.size, others);
    if (moves > 0) log.info({ edges: this.#own.size, others, moves }, 'sending edges to replicas that have fewer');
    for (const [edge, { connection }] of this.#own) {
      if (moves === 0) return;
      if (this.#moved.has(edge)) continue;
      this.#moved.set(edge, now);
      moves -= 1;
      connection.sendElsewhere();
    }
  }
}
