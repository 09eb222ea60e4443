// One edge of a simulated history: its process, which may crash, and its disk, which lasts. What it decides is decided by the
// edge's own code (edge-node/decide); this carries messages, a cache and an origin to it.
import { PurgeBarrier } from '../../../edge-node/decide/barrier.ts';
import { followPurges } from '../../../edge-node/decide/purge-log.ts';
import { isPurged } from '../../../edge-node/decide/purged.ts';
import { gateSnapshot } from '../../../edge-node/decide/snapshot-gate.ts';
import type { ConnectRequest, ConnectResponse, Hello } from '../../../proto/gen/meridian/v1/edge.ts';
import type { Purge, PurgePosition } from '../../../proto/gen/meridian/v1/purge.ts';
import type { Snapshot, Version } from '../../../proto/gen/meridian/v1/resources.ts';
import { compareVersions, formatVersion, PROTOCOL_VERSION } from '../../../proto/version.ts';
import { type Rule, Violation } from './rules.ts';

export type Up = NonNullable<ConnectRequest['message']>;
export type Down = NonNullable<ConnectResponse['message']>;

export interface Url {
  readonly host: string;
  readonly path: string;
}

interface Entry {
  readonly content: number;
  readonly barrier: number;
  readonly expired: boolean;
  readonly tags: readonly string[];
}

/** A request to the origin. */
export interface Fetch {
  readonly url: number;
  /** As noted when it was sent. */
  readonly barrier: number;
  /** What it asks about; undefined: for the whole. */
  readonly of: Entry | undefined;
  /** For each request that waits for the answer: what it must not be older than. */
  readonly floors: number[];
  /** What the origin said; undefined while it has not. */
  answer: number | undefined;
}

export interface EdgeWorld {
  readonly urls: readonly Url[];
  /** Undefined: all rules are kept. */
  readonly broken: Rule | undefined;
  /** The lowest contents that may be served as fresh, and at all, by edge and URL; raised when it acknowledges. */
  acknowledged(edge: SimEdge, position: PurgePosition): void;
  isPoison(edge: string, version: Version): boolean;
}

export class SimEdge {
  readonly name: string;
  readonly #world: EdgeWorld;
  // On disk.
  disk: Version | undefined;
  // The process. Small tables, so that they fold.
  barrier = new PurgeBarrier({ urls: 2, prefixes: 1, hosts: 1, tags: 1 });
  position: PurgePosition | undefined;
  parked: Version | undefined;
  writing: Snapshot | undefined;
  readonly refused: Version[] = [];
  readonly cache = new Map<number, Entry>();
  fetches: Fetch[] = [];
  #late: Purge[] = [];
  /** Where its stream ends; undefined without one. */
  send: ((message: Up) => void) | undefined;
  hangUp: (() => void) | undefined;
  // What the checker knows of it, by URL.
  hardFloor: number[];
  softFloor: number[];
  /** The furthest that it ever truly raised. */
  raised: PurgePosition | undefined;

  constructor(name: string, world: EdgeWorld) {
    this.name = name;
    this.#world = world;
    this.hardFloor = world.urls.map(() => 0);
    this.softFloor = world.urls.map(() => 0);
  }

  get hello(): Hello {
    return {
      protocolVersion: PROTOCOL_VERSION,
      edge: this.name,
      instance: 'i',
      softwareVersion: '',
      applied: this.disk,
      parked: this.parked,
      purgePosition: this.position,
      whole: false,
    };
  }

  crash(): void {
    this.hangUp?.();
    this.barrier = new PurgeBarrier({ urls: 2, prefixes: 1, hosts: 1, tags: 1 });
    this.position = undefined;
    this.parked = undefined;
    this.writing = undefined;
    this.refused.length = 0;
    this.cache.clear();
    this.fetches = [];
    this.#late = [];
  }

  receive(message: Down, again = false): void {
    if (message.$case === 'purges') {
      const step = followPurges(this.position, message.value);
      if (step.kind === 'gap') {
        if (this.#world.broken !== 'no-gaps') {
          this.hangUp?.();
          return;
        }
        this.#raise(message.value.epoch, message.value.purges);
      } else {
        if (step.kind === 'reset' && this.#world.broken !== 'reset-purges-all') this.barrier.reset();
        this.#raise(message.value.epoch, step.purges);
        this.position = step.position;
      }
      if (!this.position) return;
      if (this.#late.length === 0) this.raised = this.position;
      this.#world.acknowledged(this, this.position);
      this.send?.({ $case: 'purgeAck', value: { position: this.position } });
    } else if (message.$case === 'snapshot' && message.value.snapshot) this.#offer(message.value.snapshot, again);
  }

  #raise(epoch: number, purges: readonly Purge[]): void {
    for (const purge of purges) {
      if (this.#world.broken === 'raise-before-ack') this.#late.push(purge);
      else this.barrier.apply(purge);
      this.position = { epoch, sequence: purge.sequence };
    }
  }

  /** Only with the rule broken: what was acknowledged is raised at last. */
  raiseLate(): void {
    for (const purge of this.#late.splice(0)) this.barrier.apply(purge);
  }

  #offer(snapshot: Snapshot, again: boolean): void {
    const version = snapshot.version;
    if (version && !again && this.refused.some((refused) => compareVersions(refused, version) === 0)) {
      throw new Violation(`${this.name} was sent version ${formatVersion(version)} again, which it had refused`);
    }
    const decision = gateSnapshot({ applied: this.disk, parked: this.parked }, snapshot, this.name);
    const any = this.#world.broken === 'never-backwards' && decision.kind === 'ignore';
    if (version && (decision.kind === 'apply' || any)) {
      if (this.#world.isPoison(this.name, version)) this.#refuse(version);
      else this.writing = snapshot;
    } else if (decision.kind === 'ignore' && decision.reason === 'same') {
      this.send?.({ $case: 'snapshotAck', value: { version: decision.version } });
    }
  }

  #refuse(version: Version): void {
    if (compareVersions(version, this.parked) > 0) this.parked = version;
    this.refused.push(version);
    this.send?.({ $case: 'snapshotNack', value: { version, reason: 'poison' } });
  }

  /** The disk has it. Whether the process lives on to say so is for the history to choose. */
  written(): Version | undefined {
    const version = this.writing?.version;
    this.writing = undefined;
    if (!version) return undefined;
    if (compareVersions(version, this.disk) < 0) {
      throw new Violation(`${this.name} went back from ${formatVersion(this.disk)} to ${formatVersion(version)}`);
    }
    this.disk = version;
    if (compareVersions(version, this.parked) > 0) this.parked = undefined;
    return version;
  }

  /** A client asks. `originFails`: whoever needs the origin does without it. */
  request(url: number, originFails: boolean): void {
    const entry = this.cache.get(url);
    const place = this.#world.urls[url];
    if (!place) return;
    const floor = Math.max(this.hardFloor[url] ?? 0, this.softFloor[url] ?? 0);
    if (entry) {
      const purgeable = { host: place.host, purgeTarget: place.host + place.path, head: entry };
      if (this.#covered(purgeable)) {
        this.cache.delete(url);
      } else {
        const soft = this.barrier.stales(entry.barrier, place.host, purgeable.purgeTarget);
        const stale = entry.expired || (soft && this.#world.broken !== 'soft-is-stale');
        if (!stale || originFails) {
          const lowest = stale ? (this.hardFloor[url] ?? 0) : floor;
          if (entry.content < lowest) {
            const how = stale ? 'stale' : 'fresh';
            throw new Violation(
              `${this.name} served ${place.host}${place.path} ${entry.content} as ${how} after ${lowest}`,
            );
          }
          return;
        }
        this.#ask(url, floor, entry);
        return;
      }
    }
    if (!originFails) this.#ask(url, floor, undefined);
  }

  #covered(entry: Parameters<typeof isPurged>[1]): boolean {
    if (this.#world.broken === 'never-forget' && this.barrier.current - entry.head.barrier > 2) return false;
    return isPurged(this.barrier, entry);
  }

  #ask(url: number, floor: number, of: Entry | undefined): void {
    const { current } = this.barrier;
    const joined = this.fetches.find(
      (fetch) => fetch.url === url && (fetch.barrier === current || this.#world.broken === 'join-none-from-before'),
    );
    if (joined) joined.floors.push(floor);
    else this.fetches.push({ url, barrier: current, of, floors: [floor], answer: undefined });
  }

  /** The origin's answer is here. */
  settle(fetch: Fetch): void {
    this.fetches = this.fetches.filter((other) => other !== fetch);
    const { url, of, answer = 0 } = fetch;
    for (const floor of fetch.floors) {
      if (answer < floor) throw new Violation(`${this.name} gave ${answer} to a request that came after ${floor}`);
    }
    const late = this.#world.broken === 'note-at-send' || (of && this.#world.broken === 'note-at-send-of-refresh');
    const barrier = late ? this.barrier.current : fetch.barrier;
    const stored = this.cache.get(url);
    if (of && of.content === answer) {
      if (stored === of) this.cache.set(url, { content: answer, barrier, expired: false, tags: [] });
    } else if (!stored || stored.barrier <= barrier)
      this.cache.set(url, { content: answer, barrier, expired: false, tags: [] });
  }

  expire(url: number): void {
    const entry = this.cache.get(url);
    if (entry) this.cache.set(url, { ...entry, expired: true });
  }
}
