// The edge's side of the stream to the control plane: says what this edge has, takes what it lacks.
//
// States: waiting (for the next dial) -> opening (dialled, Hello, the full health report and a heartbeat sent) -> open (the
// first PurgeBatch came, which brings the barrier up to date) -> waiting ...; stopped from anywhere. A dial takes the next
// control plane of the list; after each round of the list the wait grows. Whatever is malformed, out of order or missing ends
// the stream, counted and logged, and the next one starts from where the edge stands. Nothing is queued while there is no
// stream: the Hello and the full report of the next one say it all.
//
// A purge is applied, then acknowledged, within one turn of the event loop, so an ACK never precedes the barrier.
import { backoff } from '../../infra/runtime/backoff.ts';
import type { Clock, Timer } from '../../infra/runtime/clock.ts';
import type { Log } from '../../infra/runtime/log.ts';
import type { Metrics } from '../../infra/runtime/metrics.ts';
import type { Random } from '../../infra/runtime/random.ts';
import type { TlsMaterial } from '../../infra/runtime/tls-files.ts';
import { canonicalHost } from '../../proto/canonical-url.ts';
import type {
  ConnectResponse,
  EdgeStatistics,
  ExplainQuestion,
  SnapshotUpdate,
} from '../../proto/gen/meridian/v1/edge.ts';
import { Explanation } from '../../proto/gen/meridian/v1/explain.ts';
import type { HealthReport, HealthTransition, HealthView } from '../../proto/gen/meridian/v1/health.ts';
import type { Purge, PurgeBatch, PurgePosition, PurgeTarget } from '../../proto/gen/meridian/v1/purge.ts';
import { formatVersion, PROTOCOL_VERSION } from '../../proto/version.ts';
import { followPurges } from '../decide/purge-log.ts';
import { ControlLink, type LinkEnd } from './control-link.ts';
import type { SnapshotAnswer, SnapshotApplier } from './snapshot-applier.ts';
import { wholeSnapshot } from './whole-snapshot.ts';

const HEARTBEAT_MS = 5_000;
/** From the dial to the first message. */
const OPENING_MS = 10_000;
/** So short that an edge is back within 5 s of the end of an outage, however long it was. */
const BACKOFF = { firstMs: 500, maxMs: 4_000 };
/** A stream that was open this long ended for a reason of its own: the waits begin anew. */
const STABLE_MS = 10_000;

export interface ControlStreamOptions {
  readonly edge: string;
  /** Random for each process. */
  readonly instance: string;
  readonly softwareVersion: string;
  /** "host:port" of each replica; at least one. The first dial takes one at random, so that edges spread over them. */
  readonly controlPlanes: readonly string[];
  /** The newest certificates, asked for at each dial. Absent: plain text. */
  readonly tls?: () => TlsMaterial;
  /** Where the edge stood when it ended the last time, if what it stored since is still judged by the purges up to there. */
  readonly purgePosition?: PurgePosition | undefined;
}

export interface ControlStreamPorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly snapshots: Pick<SnapshotApplier, 'offer' | 'applied' | 'parked' | 'serving'>;
  /** Raised synchronously. */
  readonly barrier: { apply(purge: Purge): void; reset(): void; stand?(position: PurgePosition | undefined): void };
  readonly health: { report(): HealthReport; setView(view: HealthView, now: number): void };
  statistics(): EdgeStatistics;
  /** An exception becomes an answer that says no more than "internal". */
  explain(question: ExplainQuestion): Explanation | Promise<Explanation>;
  /** What a purge would reach; undefined when too much is asked. */
  count(targets: readonly PurgeTarget[]): Promise<{ readonly objects: number; readonly bytes: number }> | undefined;
}

type State =
  | { readonly kind: 'stopped' }
  | { readonly kind: 'waiting'; readonly timer: Timer }
  | { readonly kind: 'opening'; readonly link: ControlLink; readonly deadline: Timer; readonly heartbeat: Timer }
  | { readonly kind: 'open'; readonly link: ControlLink; readonly since: number; readonly heartbeat: Timer };

export class ControlStream {
  readonly #options: ControlStreamOptions;
  readonly #ports: ControlStreamPorts;
  #state: State = { kind: 'stopped' };
  #position: PurgePosition | undefined;
  #synced = false;
  /** A change did not fit: from then on only whole snapshots are asked for. */
  #whole = false;
  #lastError: string | undefined;
  /** Index of the control plane to dial next. */
  #next = 0;
  /** Streams in a row that failed to last. */
  #failures = 0;

  constructor(options: ControlStreamOptions, ports: ControlStreamPorts) {
    if (options.controlPlanes.length === 0) throw new Error('an edge needs the address of at least one control plane');
    for (const address of options.controlPlanes) {
      const host = canonicalHost(address);
      if (host.kind === 'malformed' || host.port === undefined) {
        throw new Error(`"${address}" is not the address of a control plane: expected HOST:PORT`);
      }
    }
    this.#options = options;
    this.#position = options.purgePosition;
    this.#ports = ports;
    const help = 'Whether the stream to a control plane is open.';
    ports.metrics.gauge('meridian_control_connected', help, () => Number(this.connected));
  }

  /** Whether a first PurgeBatch came since the process started: from then on the cache misses no purge. */
  get synced(): boolean {
    return this.#synced;
  }

  get connected(): boolean {
    return this.#state.kind === 'open';
  }

  /** Why the last stream ended, or could not be opened; undefined while one is open. */
  get lastError(): string | undefined {
    return this.connected ? undefined : this.#lastError;
  }

  /** All purges up to it are applied. */
  get purgePosition(): PurgePosition | undefined {
    return this.#position;
  }

  start(): void {
    if (this.#state.kind !== 'stopped') return;
    this.#next = Math.floor(this.#ports.random.next() * this.#options.controlPlanes.length);
    this.#dial();
  }

  /** Ends the stream for good. */
  stop(): void {
    const state = this.#state;
    this.#state = { kind: 'stopped' };
    if (state.kind === 'waiting') state.timer.cancel();
    else if (state.kind !== 'stopped') {
      cancelTimers(state);
      state.link.close('the edge is stopping');
    }
  }

  /** Sends one transition; without a stream it is left to the full report of the next. */
  reportTransition(transition: HealthTransition): void {
    this.#link?.send({ $case: 'healthReport', value: { full: false, transitions: [transition] } });
  }

  get #link(): ControlLink | undefined {
    return this.#state.kind === 'opening' || this.#state.kind === 'open' ? this.#state.link : undefined;
  }

  #dial(): void {
    const { clock, health, snapshots } = this.#ports;
    const { controlPlanes, edge, instance, softwareVersion } = this.#options;
    const address = controlPlanes[this.#next % controlPlanes.length] ?? '';
    this.#next = (this.#next + 1) % controlPlanes.length;
    const link: ControlLink = new ControlLink(address, this.#options.tls?.(), {
      onMessage: (message) => this.#receive(link, message),
      onClosed: (end) => this.#closed(link, end),
    });
    const deadline = clock.after(OPENING_MS, () => link.close(`said nothing within ${OPENING_MS} ms`));
    const heartbeat = clock.every(HEARTBEAT_MS, () => this.#beat(link));
    this.#state = { kind: 'opening', link, deadline, heartbeat };
    link.send({
      $case: 'hello',
      value: {
        protocolVersion: PROTOCOL_VERSION,
        edge,
        instance,
        softwareVersion,
        applied: snapshots.applied,
        parked: snapshots.parked,
        purgePosition: this.#position,
        whole: this.#whole,
      },
    });
    link.send({ $case: 'healthReport', value: health.report() });
    this.#beat(link);
  }

  #beat(link: ControlLink): void {
    link.send({ $case: 'heartbeat', value: { statistics: this.#ports.statistics() } });
  }

  #closed(link: ControlLink, end: LinkEnd): void {
    const { clock, log, metrics, random } = this.#ports;
    const state = this.#state;
    if ((state.kind !== 'opening' && state.kind !== 'open') || state.link !== link) return;
    cancelTimers(state);
    const lasted = state.kind === 'open' && clock.monotonic() - state.since >= STABLE_MS;
    const ms = backoff(lasted ? 0 : Math.floor(this.#failures / this.#options.controlPlanes.length), BACKOFF, random);
    this.#failures = lasted ? 0 : this.#failures + 1;
    this.#lastError = `${link.address}: ${end.detail}`;
    this.#state = { kind: 'waiting', timer: clock.after(ms, () => this.#dial()) };
    const help = 'Streams to control planes that ended, by how.';
    metrics.counter('meridian_control_streams_ended_total', help, { code: end.code }).add();
    log.warn(
      { controlPlane: link.address, reason: end.detail, waitMs: Math.round(ms) },
      'no stream to a control plane',
    );
  }

  /** Never throws: whatever goes wrong with a message ends the stream that it came on. */
  #receive(link: ControlLink, { message }: ConnectResponse): void {
    try {
      const wrong = this.#handle(link, message);
      if (wrong !== undefined) this.#reject(link, wrong);
    } catch (error) {
      this.#ports.log.error({ controlPlane: link.address, err: error }, 'failed to handle a message');
      this.#reject(link, `${message?.$case ?? 'a message'} could not be handled`);
    }
  }

  #reject(link: ControlLink, reason: string): void {
    const help = 'Messages of control planes that could not be taken.';
    this.#ports.metrics.counter('meridian_control_messages_rejected_total', help).add();
    link.close(reason);
  }

  /** Returns what is wrong with the message, if anything is. */
  #handle(link: ControlLink, message: ConnectResponse['message']): string | undefined {
    if (!message) return 'sent a message of a kind that this release does not know';
    if (this.#state.kind !== 'open' && message.$case !== 'purges')
      return `began with ${message.$case}, not with purges`;
    switch (message.$case) {
      case 'purges':
        return this.#takePurges(link, message.value);
      case 'snapshot':
        return this.#takeSnapshot(message.value);
      case 'healthView':
        this.#ports.health.setView(message.value, this.#ports.clock.monotonic());
        return undefined;
      case 'explain': {
        const { id } = message.value;
        void this.#explain(message.value).then((explanation) =>
          link.send({ $case: 'explainAnswer', value: { id, explanation } }),
        );
        return undefined;
      }
      case 'count': {
        const { id, targets } = message.value;
        // Without an answer the asker's time runs out.
        this.#ports.count(targets)?.then((reach) => link.send({ $case: 'countAnswer', value: { id, ...reach } }));
        return undefined;
      }
    }
  }

  #takePurges(link: ControlLink, batch: PurgeBatch): string | undefined {
    const { barrier, log, metrics } = this.#ports;
    const step = followPurges(this.#position, batch);
    if (step.kind === 'gap') return step.reason;
    if (step.kind === 'reset') {
      barrier.reset();
      log.info({ reason: step.reason, position: step.position }, 'everything cached so far counts as purged');
    }
    const applied = metrics.counter('meridian_purges_applied_total', 'Purges applied.');
    for (const purge of step.purges) {
      barrier.apply(purge);
      this.#position = { epoch: batch.epoch, sequence: purge.sequence };
      applied.add();
    }
    this.#position = step.position;
    barrier.stand?.(step.position);
    this.#opened(link);
    if (step.position) link.send({ $case: 'purgeAck', value: { position: step.position } });
    return undefined;
  }

  #opened(link: ControlLink): void {
    const state = this.#state;
    if (state.kind !== 'opening') return;
    state.deadline.cancel();
    this.#state = { kind: 'open', link, since: this.#ports.clock.monotonic(), heartbeat: state.heartbeat };
    this.#synced = true;
    const fields = { controlPlane: link.address, applied: formatVersion(this.#ports.snapshots.applied) };
    this.#ports.log.info(fields, 'connected to a control plane');
  }

  #takeSnapshot(update: SnapshotUpdate): string | undefined {
    const snapshot = update.delta ? wholeSnapshot(this.#ports.snapshots.serving, update.delta) : update.snapshot;
    if (!snapshot && update.delta) {
      this.#whole = true;
      return 'sent a change of a snapshot that does not fit the one that serves; asking for the whole';
    }
    if (!snapshot?.version) return 'sent a snapshot without a version';
    this.#ports.snapshots.offer(snapshot, (answer) => this.#answerSnapshot(answer));
    return undefined;
  }

  /** On whatever stream there is by now. A swap may have taken origins away, so what this edge measured is told anew. */
  #answerSnapshot(answer: SnapshotAnswer): void {
    const { version } = answer;
    if (answer.kind === 'nack') {
      this.#link?.send({ $case: 'snapshotNack', value: { version, reason: answer.reason } });
      return;
    }
    this.#link?.send({ $case: 'snapshotAck', value: { version } });
    this.#link?.send({ $case: 'healthReport', value: this.#ports.health.report() });
  }

  async #explain(question: ExplainQuestion): Promise<Explanation> {
    try {
      return await this.#ports.explain(question);
    } catch (error) {
      this.#ports.log.error({ url: question.url, ip: question.ip, err: error }, 'failed to explain a request');
      const refusalDetail = 'the edge failed to explain this request; its log says why';
      return Explanation.fromPartial({ edge: this.#options.edge, refusalCode: 'internal', refusalDetail });
    }
  }
}

function cancelTimers(state: State & { kind: 'opening' | 'open' }): void {
  state.heartbeat.cancel();
  if (state.kind === 'opening') state.deadline.cancel();
}
