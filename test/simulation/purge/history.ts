// One history: events in an order that the seed chooses, with messages delayed, lost, doubled and cut off, processes crashing,
// and the checker's word on each answer; in the end everything is healed, must converge, and is asked once more. What is
// checked:
//
//   nothing is served as fresh that was replaced before the acceptance of a purge that the edge has acknowledged, nor at all
//     when that purge was a hard one (so no accepted purge is lost: in the end every edge has acknowledged all)
//   an edge that an answer names as acked has truly raised its barrier
//   no edge goes back to an older version, and none is sent a version again that it refused
import { beginWait, type Outcome } from '../../../control-plane/decide/acks.ts';
import { planPurge } from '../../../control-plane/decide/purge.ts';
import { endOf } from '../../../control-plane/decide/purge-log.ts';
import { raisedBy } from '../../../edge-node/decide/purge-names.ts';
import { seededRandom } from '../../../infra/runtime/random.ts';
import type { PurgePosition, PurgeTarget } from '../../../proto/gen/meridian/v1/purge.ts';
import { comparePositions, compareVersions } from '../../../proto/version.ts';
import { SimReplica, SimStore, Stream } from './control.ts';
import { type EdgeWorld, SimEdge, type Url } from './edge.ts';
import { type Rule, Violation } from './rules.ts';

const URLS: readonly Url[] = [
  { host: 'a.example', path: '/x' },
  { host: 'a.example', path: '/x/y' },
  { host: 'b.example', path: '/x' },
];
const EDGES = ['edge-1', 'edge-2'];
const STEPS = 90;
/** Rounds in which everything that can happen happens; far more than it takes. */
const ROUNDS = 60;

interface Accepted {
  readonly position: PurgePosition;
  readonly soft: boolean;
  /** By URL: what the origin had when the purge was accepted; undefined: not purged. */
  readonly floors: readonly (number | undefined)[];
}

/** Throws a {@link Violation}. */
export function runHistory(seed: number, broken: Rule | undefined): void {
  new History(seed, broken).run();
}

class History implements EdgeWorld {
  readonly urls = URLS;
  readonly broken: Rule | undefined;
  readonly #next: () => number;
  readonly #origin = URLS.map(() => 1);
  readonly #store: SimStore;
  readonly #replicas: SimReplica[];
  readonly #edges: SimEdge[];
  readonly #accepted: Accepted[] = [];
  readonly #poison = new Set<string>();
  #step = 0;

  constructor(seed: number, broken: Rule | undefined) {
    this.broken = broken;
    const random = seededRandom(seed);
    this.#next = () => random.next();
    this.#store = new SimStore(EDGES, broken);
    this.#replicas = [1, 2].map(
      () => new SimReplica(this.#store, broken, (wait, outcome) => this.#answered(wait.goal, outcome)),
    );
    this.#edges = EDGES.map((name) => new SimEdge(name, this));
  }

  run(): void {
    for (this.#step = 1; this.#step <= STEPS; this.#step += 1) this.#act();
    this.#heal();
  }

  isPoison(edge: string, version: { readonly epoch: number; readonly revision: number }): boolean {
    return this.#poison.has(`${edge} ${version.epoch} ${version.revision}`);
  }

  acknowledged(edge: SimEdge, position: PurgePosition): void {
    for (const accepted of this.#accepted) {
      if (comparePositions(accepted.position, position) > 0) continue;
      const floors = accepted.soft ? edge.softFloor : edge.hardFloor;
      for (const [url, floor] of accepted.floors.entries()) floors[url] = Math.max(floors[url] ?? 0, floor ?? 0);
    }
  }

  #answered(goal: { readonly kind: string; readonly position?: PurgePosition }, { edge, kind }: Outcome): void {
    if (goal.kind !== 'purge' || kind !== 'acked') return;
    const found = this.#edges.find(({ name }) => name === edge);
    if (comparePositions(found?.raised, goal.position) < 0) {
      throw new Violation(`${edge} was said to have purge ${goal.position?.sequence}, which it has not`);
    }
  }

  #below(count: number): number {
    return Math.floor(this.#next() * count);
  }

  #pick<T>(from: readonly T[]): T | undefined {
    return from[this.#below(from.length)];
  }

  #act(): void {
    const edge = this.#pick(this.#edges);
    const replica = this.#pick(this.#replicas);
    if (!edge || !replica) return;
    const chance = this.#next();
    if (chance < 0.26) this.#deliver();
    else if (chance < 0.46) edge.request(this.#below(URLS.length), this.#next() < 0.1);
    else if (chance < 0.62) this.#originActs(edge);
    else if (chance < 0.7) this.#change(replica);
    else if (chance < 0.76) replica.see();
    else if (chance < 0.79) this.#gossip();
    else if (chance < 0.85) edge.expire(this.#below(URLS.length));
    else if (chance < 0.91) this.#move(edge, replica);
    else if (chance < 0.92) edge.hangUp?.();
    else if (chance < 0.965) this.#written(edge, this.#next() < 0.3);
    else if (chance < 0.985) this.#apply();
    else if (chance < 0.99) edge.crash();
    else if (chance < 0.995) replica.restart();
    else if (chance < 0.997) replica.endWaits();
    else this.#store.restore(this.#below(3), 1000 + this.#step, EDGES);
  }

  /** The first message of some direction of some stream arrives, twice, or not at all. */
  #deliver(): void {
    const streams = this.#replicas.flatMap((replica) => [...replica.streams]);
    const stream = this.#pick(streams);
    if (!stream) return;
    if (this.#next() < 0.5) {
      const message = stream.up.shift();
      if (message) stream.replica.receive(stream, message);
      return;
    }
    const message = stream.down.shift();
    if (!message) return;
    const fate = this.#next();
    // What is lost is lost with its connection, but not at once.
    if (fate >= (this.broken === 'no-gaps' ? 0.3 : 0.05)) stream.edge.receive(message);
    if (fate > 0.97 && message.$case === 'purges') stream.edge.receive(message, true);
    if (stream.edge.hangUp) stream.replica.pump(stream);
  }

  #originActs(edge: SimEdge): void {
    if (this.broken === 'raise-before-ack' && this.#next() < 0.2) edge.raiseLate();
    const fetch = this.#pick(edge.fetches);
    if (!fetch) return;
    if (fetch.answer === undefined) fetch.answer = this.#origin[fetch.url];
    else edge.settle(fetch);
  }

  /** Something new at the origin, and a purge of what was there before. */
  #change(replica: SimReplica): void {
    const url = this.#below(URLS.length);
    const place = URLS[url];
    if (!place) return;
    this.#origin[url] = (this.#origin[url] ?? 0) + 1;
    const targets = [this.#target(place)];
    if (this.#next() < 0.2) targets.push(this.#target(this.#pick(URLS) ?? place));
    const soft = this.#next() < 0.3;
    const idempotencyKey = `${this.#step}`;
    for (let attempt = 0; attempt < 3; attempt += 1) {
      const plan = planPurge(replica.state.log, { targets, soft, idempotencyKey }, 0);
      if (plan.kind !== 'commit') throw new Violation(`a purge was planned as ${plan.kind}`);
      if (this.#store.commit(plan.transaction, replica.state)) {
        const floors = URLS.map((other, i) =>
          targets.some((target) => reaches(target, other)) ? this.#origin[i] : undefined,
        );
        this.#accepted.push({ position: plan.position, soft, floors });
        const known = this.#edges.map(({ name }) => [name, replica.standing(name)] as const);
        const [wait, outcomes] = beginWait({ kind: 'purge', position: plan.position }, known, true);
        for (const outcome of outcomes) this.#answered(wait.goal, outcome);
        replica.waits.add(wait);
        return;
      }
      replica.catchUp();
    }
  }

  #target({ host, path }: Url): PurgeTarget {
    const kind = this.#next();
    if (kind < 0.5) return { target: { $case: 'url', value: { host, path } } };
    if (kind < 0.7) return { target: { $case: 'prefix', value: { host, path: '/x' } } };
    return kind < 0.95 ? { target: { $case: 'host', value: host } } : { target: { $case: 'all', value: {} } };
  }

  #gossip(): void {
    const [a, b] = this.#replicas;
    if (!a || !b) return;
    if (this.#next() < 0.5) a.hear(b);
    else b.hear(a);
  }

  /** Most often it has no stream; else it goes over now and then. */
  #move(edge: SimEdge, replica: SimReplica): void {
    if (this.#next() < 0.3) edge.hangUp?.();
    this.#connect(edge, replica);
  }

  #connect(edge: SimEdge, replica: SimReplica): void {
    if (edge.hangUp) return;
    for (const other of this.#replicas) {
      for (const stream of other.streams) if (stream.edge === edge) stream.end();
    }
    replica.streams.add(new Stream(edge, replica));
  }

  #written(edge: SimEdge, dies: boolean): void {
    const version = edge.written();
    if (!version) return;
    if (dies) edge.crash();
    else edge.send?.({ $case: 'snapshotAck', value: { version } });
  }

  #apply(): void {
    this.#store.apply(EDGES);
    const { version } = this.#store.newest.update.snapshot ?? {};
    for (const name of EDGES) {
      if (version && this.#next() < 0.3) this.#poison.add(`${name} ${version.epoch} ${version.revision}`);
    }
  }

  #heal(): void {
    for (const edge of this.#edges) {
      edge.hangUp?.();
      this.#connect(edge, this.#pick(this.#replicas) ?? fail());
    }
    for (let round = 0; round < ROUNDS; round += 1) {
      for (const replica of this.#replicas) {
        replica.catchUp();
        for (const stream of replica.streams) this.#drain(stream);
      }
      for (const edge of this.#edges) {
        this.#written(edge, false);
        if (!edge.hangUp) this.#connect(edge, this.#replicas[0] ?? fail());
      }
      this.#gossip();
    }
    const { log, update } = this.#store.newest;
    for (const edge of this.#edges) {
      if (comparePositions(edge.position, endOf(log)) !== 0) throw new Violation(`${edge.name} never got all purges`);
      const version = update.snapshot?.version;
      const knows = compareVersions(edge.disk, version) === 0 || compareVersions(edge.parked, version) === 0;
      if (!knows) throw new Violation(`${edge.name} never got the newest version`);
      for (const url of URLS.keys()) edge.request(url, false);
    }
  }

  #drain(stream: Stream): void {
    for (let message = stream.up.shift(); message; message = stream.up.shift()) stream.replica.receive(stream, message);
    for (let message = stream.down.shift(); message && stream.edge.hangUp; message = stream.down.shift()) {
      stream.edge.receive(message);
      stream.replica.pump(stream);
    }
  }
}

function reaches(target: PurgeTarget, { host, path }: Url): boolean {
  const url = host + path;
  return raisedBy(target).some((raised) => {
    if (raised.kind === 'host') return raised.name === host;
    if (raised.kind === 'prefix') return url === raised.name || url.startsWith(`${raised.name}/`);
    return raised.kind === 'all' || (raised.kind === 'url' && raised.name === url);
  });
}

function fail(): never {
  throw new Error('there is always a replica');
}
