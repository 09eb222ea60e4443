// Applies snapshots, one after another: gate, prepare, write to disk, serve. Whole or not at all: up to the last step the
// former snapshot serves, and the last step is a swap that cannot fail. When several wait, only the newest that arrived is
// taken.
//
// A snapshot that cannot be written to disk is refused: if it served, a restart would go back to the one before. That is
// this machine's fault and not the version's, so the version is not parked: it is taken when it comes again, on the next
// connection.
import type { Log } from '../../infra/runtime/log.ts';
import type { Metrics } from '../../infra/runtime/metrics.ts';
import type { Snapshot, Version } from '../../proto/gen/meridian/v1/resources.ts';
import { compareVersions, formatVersion } from '../../proto/version.ts';
import { gateSnapshot, type SnapshotDecision } from '../decide/snapshot-gate.ts';
import type { SnapshotFile } from './snapshot-file.ts';

export type SnapshotAnswer =
  | { readonly kind: 'ack'; readonly version: Version }
  | { readonly kind: 'nack'; readonly version: Version; readonly reason: string };

export type Swap = () => Promise<void>;

export interface SnapshotApplierPorts {
  readonly edge: string;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly file: Pick<SnapshotFile, 'read' | 'write'>;
  /**
   * Makes all that is needed to serve the snapshot and gives the swap to it, which must not fail and is over when every thread
   * serves by it. Rejects with an Error whose message says why it cannot be served.
   */
  prepare(snapshot: Snapshot): Promise<Swap>;
}

interface Offer {
  readonly snapshot: Snapshot;
  readonly answer: (answer: SnapshotAnswer) => void;
}

export class SnapshotApplier {
  readonly #ports: SnapshotApplierPorts;
  readonly #count: (outcome: string) => void;
  #applied: Version | undefined;
  #serving: Snapshot | undefined;
  #parked: Version | undefined;
  #waiting: Offer | undefined;
  #running: Promise<void> | undefined;

  constructor(ports: SnapshotApplierPorts) {
    this.#ports = ports;
    this.#count = (outcome) =>
      ports.metrics
        .counter('meridian_snapshots_total', 'Snapshots that arrived, by what became of them.', { outcome })
        .add();
  }

  /** What serves; undefined when nothing does. */
  get applied(): Version | undefined {
    return this.#applied;
  }

  /** The same, whole. */
  get serving(): Snapshot | undefined {
    return this.#serving;
  }

  /** The newest version refused, until a newer one serves. */
  get parked(): Version | undefined {
    return this.#parked;
  }

  /** Serves what is on disk, if it may be served. Call once, before any offer. Rejects as {@link SnapshotFile.read} does. */
  async restore(): Promise<void> {
    const snapshot = await this.#ports.file.read();
    if (!snapshot) return;
    const decision = gateSnapshot(this.#standing, snapshot, this.#ports.edge);
    const version = formatVersion(snapshot.version);
    if (decision.kind !== 'apply') {
      this.#ports.log.error(
        { version, reason: decision.reason },
        'the snapshot on disk cannot serve; starting without',
      );
      return;
    }
    try {
      const serve = await this.#ports.prepare(snapshot);
      await serve();
    } catch (error) {
      this.#ports.log.error({ version, err: error }, 'the snapshot on disk cannot be prepared; starting without');
      return;
    }
    this.#applied = decision.version;
    this.#serving = snapshot;
    this.#ports.log.info({ version }, 'serving the snapshot on disk');
  }

  /** `answer` is called once, later, unless a newer offer or a decision to ignore this one makes an answer moot. */
  offer(snapshot: Snapshot, answer: (answer: SnapshotAnswer) => void): void {
    if (this.#waiting) this.#count('superseded');
    this.#waiting = { snapshot, answer };
    this.#running ??= this.#run();
  }

  /** Resolves when nothing is being applied. */
  async idle(): Promise<void> {
    await this.#running;
  }

  get #standing(): { readonly applied: Version | undefined; readonly parked: Version | undefined } {
    return { applied: this.#applied, parked: this.#parked };
  }

  async #run(): Promise<void> {
    for (let next = this.#waiting; next; next = this.#waiting) {
      this.#waiting = undefined;
      const answer = await this.#apply(next.snapshot);
      if (answer) next.answer(answer);
    }
    this.#running = undefined;
  }

  async #apply(snapshot: Snapshot): Promise<SnapshotAnswer | undefined> {
    const decision = gateSnapshot(this.#standing, snapshot, this.#ports.edge);
    switch (decision.kind) {
      case 'ignore':
        return this.#ignore(decision);
      case 'refuse':
        return decision.version && this.#refuse(decision.version, decision.reason, true);
      case 'apply':
        return this.#carryOut(snapshot, decision.version);
    }
  }

  async #carryOut(snapshot: Snapshot, version: Version): Promise<SnapshotAnswer> {
    let serve: Swap;
    try {
      serve = await this.#ports.prepare(snapshot);
    } catch (error) {
      return this.#refuse(version, `it cannot be prepared: ${messageOf(error)}`, true);
    }
    try {
      await this.#ports.file.write(snapshot);
    } catch (error) {
      return this.#refuse(version, `it cannot be written to this edge's disk: ${messageOf(error)}`, false);
    }
    try {
      await serve();
    } catch (error) {
      this.#ports.log.error({ err: error }, 'the swap to a prepared snapshot failed, which it never should');
      return this.#refuse(version, `it cannot be served: ${messageOf(error)}`, true);
    }
    this.#applied = version;
    this.#serving = snapshot;
    if (compareVersions(version, this.#parked) > 0) this.#parked = undefined;
    this.#count('applied');
    this.#ports.log.info({ version: formatVersion(version) }, 'snapshot applied');
    return { kind: 'ack', version };
  }

  /** The same version again means that its ACK may have been lost with a connection. */
  #ignore({ version, reason }: SnapshotDecision & { kind: 'ignore' }): SnapshotAnswer | undefined {
    this.#count(reason);
    this.#ports.log.debug({ version: formatVersion(version), reason }, 'snapshot ignored');
    return reason === 'same' ? { kind: 'ack', version } : undefined;
  }

  #refuse(version: Version, reason: string, park: boolean): SnapshotAnswer {
    if (park && compareVersions(version, this.#parked) > 0) this.#parked = version;
    this.#count('refused');
    this.#ports.log.error(
      { version: formatVersion(version), serving: formatVersion(this.#applied), reason },
      'snapshot refused; the former one goes on serving',
    );
    return { kind: 'nack', version, reason };
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
