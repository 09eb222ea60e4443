// The control planes of a simulated history: a store of revisions, and replicas that follow it and each have streams to edges.
// What is planned, replayed and sent next is decided by the control plane's own code (control-plane/decide).
import { endWait, type Outcome, progress, type Standing, type Wait } from '../../../control-plane/decide/acks.ts';
import { decideEpoch } from '../../../control-plane/decide/epoch.ts';
import { KEYS, parseKey, type Transaction } from '../../../control-plane/decide/keys.ts';
import { nextMessage, type Sent } from '../../../control-plane/decide/outbox.ts';
import { decodePurge, type PurgeLog, type PurgeRecord } from '../../../control-plane/decide/purge-log.ts';
import type { SnapshotUpdate } from '../../../proto/gen/meridian/v1/edge.ts';
import { comparePositions, compareVersions } from '../../../proto/version.ts';
import type { Down, SimEdge, Up } from './edge.ts';
import { type Rule, Violation } from './rules.ts';

/** Purges that the log keeps: few, so that edges miss more. */
const RETENTION = 4;

export interface State {
  readonly revision: number;
  readonly log: PurgeLog;
  readonly update: SnapshotUpdate;
  /** When the epoch was begun. */
  readonly epochRevision: number;
}

export class SimStore {
  readonly #broken: Rule | undefined;
  /** All there ever was, the newest last; replicas follow it. */
  readonly states: State[];
  #identity = 'one';

  constructor(edges: readonly string[], broken: Rule | undefined) {
    this.#broken = broken;
    const log = { epoch: 1, last: 0, headRevision: 0, records: [] };
    this.states = [{ revision: 1, epochRevision: 1, log, update: updateOf(1, 1, edges) }];
  }

  get newest(): State {
    return this.states.at(-1) ?? fail();
  }

  /** Whether it was written. `planned`: what it was planned from. */
  commit({ compares, operations }: Transaction, planned: State): boolean {
    const { revision: former, log, update, epochRevision } = this.newest;
    // As io/writer.ts compares it.
    if (this.#broken !== 'compare-epoch' && planned.epochRevision !== epochRevision) return false;
    const head = compares.find(({ key }) => key === KEYS.purgeHead);
    if (this.#broken !== 'compare-head' && head?.modRevision !== log.headRevision) return false;
    const revision = former + 1;
    const records = new Map(log.records.map((record) => [record.purge.sequence, record]));
    let { last } = log;
    for (const operation of operations) {
      const key = parseKey(operation.key);
      if (operation.kind === 'put' && key.kind === 'purge') {
        records.set(key.sequence, decodePurge(key.sequence, operation.value));
        last = key.sequence;
      }
    }
    const kept: PurgeRecord[] = [...records.values()].slice(-RETENTION);
    this.states.push({ revision, update, epochRevision, log: { ...log, last, headRevision: revision, records: kept } });
    return true;
  }

  /** Another version of the configuration. */
  apply(edges: readonly string[]): void {
    const { revision, log, epochRevision } = this.newest;
    this.states.push({ revision: revision + 1, epochRevision, log, update: updateOf(log.epoch, revision + 1, edges) });
  }

  /** What was there some states ago is there again, in a store of another identity. */
  restore(ago: number, now: number, edges: readonly string[]): void {
    const from = this.states[Math.max(0, this.states.length - 1 - ago)] ?? fail();
    const stored = { epoch: this.newest.log.epoch, identity: this.#identity };
    if (this.#broken !== 'new-epoch-after-restore') this.#identity = `restored at ${now}`;
    const decision = decideEpoch(stored, this.#identity, now);
    const epoch = decision.kind === 'begin' ? decision.record.epoch : decision.epoch;
    const revision = from.revision + 1;
    const epochRevision = decision.kind === 'begin' ? revision : from.epochRevision;
    this.states.push({
      revision,
      epochRevision,
      log: { ...from.log, epoch },
      update: updateOf(epoch, revision, edges),
    });
  }
}

function updateOf(epoch: number, revision: number, edges: readonly string[]): SnapshotUpdate {
  const location = { latitude: 0, longitude: 0 };
  const declared = edges.map((name) => ({ name, location, trustedProxies: [] }));
  return {
    delta: undefined,
    snapshot: { version: { epoch, revision }, sites: [], pools: [], edges: declared, drained: [] },
  };
}

function fail(): never {
  throw new Error('a store is never without a state');
}

export class Stream {
  readonly edge: SimEdge;
  readonly replica: SimReplica;
  readonly up: Up[] = [];
  readonly down: Down[] = [];
  sent: Sent | undefined;

  constructor(edge: SimEdge, replica: SimReplica) {
    this.edge = edge;
    this.replica = replica;
    edge.send = (message) => this.up.push(message);
    edge.hangUp = () => this.end();
    edge.send({ $case: 'hello', value: edge.hello });
  }

  end(): void {
    this.edge.send = undefined;
    this.edge.hangUp = undefined;
    this.replica.streams.delete(this);
    const standing = this.replica.own.get(this.edge.name);
    if (standing && this.sent) this.replica.note(this.edge.name, { ...standing, connected: false });
  }
}

export class SimReplica {
  readonly #store: SimStore;
  readonly #broken: Rule | undefined;
  #seen: number;
  readonly streams = new Set<Stream>();
  /** Of its own edges, and of those of others, as these say. */
  readonly own = new Map<string, Standing>();
  readonly #remote = new Map<string, Standing>();
  readonly waits = new Set<Wait>();
  readonly outcome: (wait: Wait, outcome: Outcome) => void;

  constructor(store: SimStore, broken: Rule | undefined, outcome: (wait: Wait, outcome: Outcome) => void) {
    this.#store = store;
    this.#broken = broken;
    this.outcome = outcome;
    this.#seen = store.states.length - 1;
  }

  get state(): State {
    return this.#store.states[this.#seen] ?? this.#store.newest;
  }

  get behind(): boolean {
    return this.#seen < this.#store.states.length - 1;
  }

  /** One more state comes by the watch. */
  see(): void {
    if (this.behind) this.#seen += 1;
    for (const stream of this.streams) this.pump(stream);
  }

  catchUp(): void {
    while (this.behind) this.see();
  }

  /** The process is killed and started again. */
  restart(): void {
    for (const stream of this.streams) stream.end();
    this.own.clear();
    this.#remote.clear();
    this.waits.clear();
    this.catchUp();
  }

  standing(edge: string): Standing | undefined {
    const own = this.own.get(edge);
    return own?.connected ? own : (this.#remote.get(edge) ?? own);
  }

  /** What another replica says of its edges. */
  hear(other: SimReplica): void {
    for (const { edge, sent } of other.streams) {
      const standing = other.own.get(edge.name);
      if (!standing || !sent) continue;
      const position = this.#broken === 'marks-are-acks' ? sent.position : standing.position;
      this.#remote.set(edge.name, { ...standing, position });
      this.#progress(edge.name);
    }
  }

  note(edge: string, standing: Standing): void {
    this.own.set(edge, standing);
    this.#progress(edge);
  }

  #progress(edge: string): void {
    for (const wait of this.waits) {
      const outcome = progress(wait, edge, this.standing(edge));
      if (outcome) this.outcome(wait, outcome);
    }
  }

  endWaits(): void {
    for (const wait of this.waits) for (const outcome of endWait(wait)) this.outcome(wait, outcome);
    this.waits.clear();
  }

  receive(stream: Stream, message: Up): void {
    const { name } = stream.edge;
    if (message.$case === 'hello') {
      const { applied, parked, purgePosition } = message.value;
      // It is taken in once what was durable when it came is known here. An edge that takes any version is found out by a
      // replica that does not keep to that either.
      const careless = this.#broken === 'never-backwards';
      if (!careless) this.catchUp();
      const noted = this.#broken === 'parked-not-resent' ? undefined : parked;
      const newest = compareVersions(applied, noted) > 0 ? applied : noted;
      const version = careless ? parked : newest;
      stream.sent = { greeted: false, position: purgePosition, version, health: 0 };
      const refused = parked && { version: parked, reason: '' };
      this.note(name, { connected: true, applied, refused, position: purgePosition });
      this.pump(stream);
      return;
    }
    const standing = this.own.get(name);
    if (!standing || !stream.sent) throw new Violation(`${name} spoke before its Hello`);
    if (message.$case === 'purgeAck') {
      const { position } = message.value;
      if (comparePositions(position, stream.sent.position) > 0) stream.end();
      else this.note(name, { ...standing, position });
    } else if (message.$case === 'snapshotAck') this.note(name, { ...standing, applied: message.value.version });
    else if (message.$case === 'snapshotNack') {
      const { version, reason } = message.value;
      this.note(name, { ...standing, refused: version && { version, reason } });
    }
  }

  /** Writes the next message, if the one before has left. */
  pump(stream: Stream): void {
    if (!stream.sent || stream.down.length > 0) return;
    const { update, log } = this.state;
    const next = nextMessage(stream.sent, { update, purges: log, health: 0 });
    switch (next.kind) {
      case 'purges': {
        stream.sent = next.sent;
        // Broken: it gets what is left of the log, as if that were all that it missed.
        const short = this.#broken === 'reset-when-too-short' && next.reason === 'log-too-short';
        const purges = log.records.map(({ purge }) => purge);
        stream.down.push({
          $case: 'purges',
          value: short ? { epoch: log.epoch, purges, resetTo: undefined } : next.batch,
        });
        break;
      }
      case 'snapshot':
        stream.sent = next.sent;
        stream.down.push({ $case: 'snapshot', value: next.update });
        break;
      case 'health':
      case 'nothing':
        break;
    }
  }
}
