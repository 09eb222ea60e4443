// One edge's stream. States:
//
//   opening    no Hello yet; ended when none comes in time
//   catching   the Hello was good; waiting for what io/edge-admission.ts says of it
//   ready      in the fleet; sent what decide/outbox.ts says, one message at a time
//   ended
//
// A message is only chosen once the one before has left, so that a slow edge costs one message of memory, and gets the newest
// of everything when it catches up. One that takes none for too long is cut off.
import { type ServerDuplexStream, status } from '@grpc/grpc-js';
import type { Clock, Timer } from '../../infra/runtime/clock.ts';
import type { Log } from '../../infra/runtime/log.ts';
import type {
  ConnectRequest,
  ConnectResponse,
  CountAnswer,
  ExplainAnswer,
  Hello,
  SnapshotUpdate,
} from '../../proto/gen/meridian/v1/edge.ts';
import type { Explanation } from '../../proto/gen/meridian/v1/explain.ts';
import type { HealthReport, HealthView } from '../../proto/gen/meridian/v1/health.ts';
import type { PurgePosition, PurgeTarget } from '../../proto/gen/meridian/v1/purge.ts';
import type { Version } from '../../proto/gen/meridian/v1/resources.ts';
import { comparePositions, compareVersions, formatVersion } from '../../proto/version.ts';
import { foldReport } from '../decide/health-view.ts';
import { type NextMessage, nextMessage, type Sent } from '../decide/outbox.ts';
import { updateFor } from '../decide/world.ts';
import { admitEdge, refuseHello, undeclared } from './edge-admission.ts';
import { EdgeQuestions } from './edge-questions.ts';
import type { Connection, Fleet, KnownEdge } from './fleet.ts';
import { serviceError } from './grpc-errors.ts';
import type { HealthBoard } from './health-board.ts';
import type { SnapshotDeltas } from './snapshot-deltas.ts';
import type { State } from './state.ts';

export type EdgeCall = ServerDuplexStream<ConnectRequest, ConnectResponse>;

export type SharedMessage =
  | { readonly $case: 'snapshot'; readonly value: SnapshotUpdate }
  | { readonly $case: 'healthView'; readonly value: HealthView };

export interface EdgeStreamPorts {
  readonly state: State;
  readonly fleet: Fleet;
  readonly health: HealthBoard;
  readonly deltas: SnapshotDeltas;
  readonly clock: Clock;
  readonly log: Log;
  /** Breaks the connection that the call came over. */
  cut(peer: string): void;
  /** The same message for the same value, so that it is encoded once for all edges. */
  shared(message: SharedMessage): ConnectResponse;
  ended(stream: EdgeStream): void;
}

const HELLO_MS = 5000;
/** For one message to leave. */
const BLOCKED_MS = 30_000;
/** Of a refusal's reason; what is longer helps nobody. */
const REASON_CHARACTERS = 1000;

export class EdgeStream implements Connection {
  readonly #call: EdgeCall;
  readonly #ports: EdgeStreamPorts;
  readonly #proven: string | undefined;
  readonly #helloTimer: Timer;
  readonly #questions: EdgeQuestions;
  #phase: 'opening' | 'catching' | 'ready' | 'ended' = 'opening';
  #edge = '';
  #instance = '';
  #sent: Sent = { greeted: false, position: undefined, version: undefined, health: 0 };
  /** The newest that it had, refused or was sent before the message that is being composed. */
  #before: Version | undefined;
  #whole = false;
  /** Runs while a message is on its way. */
  #blocked: Timer | undefined;

  /** `proven`: the edge that the certificate names, which alone may speak; undefined where there are no certificates. */
  constructor(call: EdgeCall, ports: EdgeStreamPorts, proven: string | undefined) {
    this.#call = call;
    this.#ports = ports;
    this.#questions = new EdgeQuestions(ports.clock, () => this.#pump());
    this.#proven = proven;
    this.#helloTimer = ports.clock.after(HELLO_MS, () => {
      this.end(status.DEADLINE_EXCEEDED, `no Hello came within ${HELLO_MS} ms`);
    });
    call.on('data', (message) => this.#receive(message));
    call.on('end', () => this.end(status.OK, ''));
    call.on('cancelled', () => this.#close('the connection was lost'));
    call.on('error', (error) => this.#close(error.message));
    call.on('close', () => this.#blocked?.cancel());
  }

  /** The world or the health view changed. */
  update(): void {
    if (this.#phase !== 'ready') return;
    if (this.#ports.state.world.edges.has(this.#edge)) this.#pump();
    else this.end(status.NOT_FOUND, undeclared(this.#ports.state.world, this.#edge));
  }

  /** It hears of the health view, changed or not. */
  renewHealth(): void {
    this.#sent = { ...this.#sent, health: 0 };
    this.update();
  }

  replaced(by: string | undefined): void {
    const other =
      by === undefined
        ? 'it connected to another replica'
        : by === this.#instance
          ? 'the same process connected again'
          : `another process (${by}) took its place`;
    this.end(status.ALREADY_EXISTS, `a newer stream of edge "${this.#edge}" took over: ${other}`);
  }

  sendElsewhere(why = 'has more edges than others'): void {
    this.end(status.UNAVAILABLE, `this replica ${why}; connect to another`);
  }

  async explain(url: string, ip: string, ms: number): Promise<Explanation | undefined> {
    return this.#phase === 'ready' ? this.#questions.explain(url, ip, ms) : undefined;
  }

  async countPurge(targets: readonly PurgeTarget[], ms: number): Promise<CountAnswer | undefined> {
    return this.#phase === 'ready' ? this.#questions.countPurge(targets, ms) : undefined;
  }

  /** Ends the stream with a status. What is on its way to the edge goes first. */
  end(code: status, details: string): void {
    if (this.#phase === 'ended') return;
    this.#close(details || 'the edge ended it');
    if (code === status.OK) this.#call.end();
    else this.#call.emit('error', serviceError(code, details));
  }

  #close(reason: string): void {
    if (this.#phase === 'ended') return;
    const { fleet, log } = this.#ports;
    log.info({ edge: this.#edge, instance: this.#instance, peer: this.#call.getPeer(), reason }, 'stream ended');
    this.#phase = 'ended';
    this.#helloTimer.cancel();
    fleet.disconnect(this.#edge, this);
    this.#questions.close();
    this.#ports.ended(this);
  }

  #receive({ message }: ConnectRequest): void {
    if (this.#phase === 'ended') return;
    if (this.#phase === 'opening') {
      if (message?.$case === 'hello') this.#greet(message.value);
      else this.end(status.INVALID_ARGUMENT, 'the first message must be Hello');
      return;
    }
    switch (message?.$case) {
      case 'hello':
        this.end(status.INVALID_ARGUMENT, 'Hello came twice');
        break;
      case 'snapshotAck':
        this.#acked(message.value.version);
        break;
      case 'snapshotNack':
        this.#refused(message.value.version, message.value.reason);
        break;
      case 'purgeAck':
        this.#purged(message.value.position);
        break;
      case 'healthReport':
        this.#measured(message.value);
        break;
      case 'heartbeat':
        this.#note({ statistics: message.value.statistics });
        break;
      case 'explainAnswer':
        this.#explained(message.value);
        this.#note({});
        break;
      case 'countAnswer':
        this.#questions.counted(message.value);
        this.#note({});
        break;
      case undefined:
        // Of a later release: it says at least that the edge is alive.
        this.#note({});
        break;
    }
  }

  #note(change: Partial<KnownEdge>): void {
    this.#ports.fleet.note(this.#edge, this, { ...change, heardAt: this.#ports.clock.monotonic() });
  }

  #greet(hello: Hello): void {
    this.#helloTimer.cancel();
    const wrong = refuseHello(hello, this.#proven);
    if (wrong) {
      this.end(wrong.code, wrong.reason);
      return;
    }
    this.#edge = hello.edge;
    this.#instance = hello.instance;
    this.#phase = 'catching';
    this.#call.pause();
    const { state, clock, log } = this.#ports;
    admitEdge(hello, state, clock).then(
      (admission) => {
        if (this.#phase !== 'catching') return;
        if (admission.kind === 'admitted') this.#begin(hello, admission.current);
        else this.end(admission.code, admission.reason);
      },
      (error: unknown) => {
        log.warn({ edge: hello.edge, err: error }, 'could not take an edge in');
        this.end(status.UNAVAILABLE, 'the control plane cannot take an edge in now; try again');
      },
    );
  }

  #begin(hello: Hello, current: boolean): void {
    const { clock, fleet, log } = this.#ports;
    const { edge, instance, applied, parked, purgePosition } = hello;
    const version = compareVersions(applied, parked) > 0 ? applied : parked;
    this.#phase = 'ready';
    this.#whole = hello.whole;
    this.#sent = { ...this.#sent, position: purgePosition, version };
    fleet.connect(this, hello, clock.monotonic());
    const peer = this.#call.getPeer();
    log.info({ edge, instance, peer, applied: formatVersion(applied), current }, 'edge connected');
    this.#call.resume();
    this.update();
  }

  #acked(version: Version | undefined): void {
    if (!version || compareVersions(version, this.#sent.version) > 0) {
      this.end(status.INVALID_ARGUMENT, `acknowledged version ${formatVersion(version)}, which it was not sent`);
      return;
    }
    this.#note({ applied: version });
  }

  #refused(version: Version | undefined, reason: string): void {
    if (!version || compareVersions(version, this.#sent.version) > 0) {
      this.end(status.INVALID_ARGUMENT, `refused version ${formatVersion(version)}, which it was not sent`);
      return;
    }
    const refused = { version, reason: reason.slice(0, REASON_CHARACTERS) };
    this.#ports.log.warn({ edge: this.#edge, ...refused }, 'edge refused a configuration');
    this.#note({ refused });
  }

  #explained({ id, explanation }: ExplainAnswer): void {
    // Whatever it says of who explains, it is this edge.
    this.#questions.explained({ id, explanation: explanation && { ...explanation, edge: this.#edge } });
  }

  #purged(position: PurgePosition | undefined): void {
    if (!position || comparePositions(position, this.#sent.position) > 0) {
      this.end(status.INVALID_ARGUMENT, 'acknowledged a purge that it was not sent');
      return;
    }
    this.#note({ position });
  }

  #measured(report: HealthReport): void {
    const { fleet, health } = this.#ports;
    this.#note({ measured: foldReport(fleet.get(this.#edge)?.measured, report) });
    health.reported();
  }

  #pump(): void {
    if (this.#phase !== 'ready' || this.#blocked) return;
    const { state, health } = this.#ports;
    const { purges } = state.world;
    const update = updateFor(state.world, this.#edge);
    const next = nextMessage(this.#sent, { update, purges, health: health.count });
    this.#before = this.#sent.version;
    const message = this.#compose(next);
    if (!message) return;
    if (next.kind !== 'nothing') this.#sent = next.sent;
    this.#write(message);
  }

  #compose(next: NextMessage): ConnectResponse | undefined {
    switch (next.kind) {
      case 'purges':
        return { message: { $case: 'purges', value: next.batch } };
      case 'snapshot':
        return this.#ports.shared({ $case: 'snapshot', value: this.#lighter(next.update) });
      case 'health':
        return this.#ports.shared({ $case: 'healthView', value: this.#ports.health.view });
      case 'nothing':
        return this.#questions.take();
    }
  }

  /** A delta is for an edge that has confirmed all that it was sent. */
  #lighter(update: SnapshotUpdate): SnapshotUpdate {
    const applied = this.#ports.fleet.get(this.#edge)?.applied;
    const settled = !this.#whole && applied && compareVersions(applied, this.#before) === 0;
    return settled ? this.#ports.deltas.from(applied, update) : update;
  }

  #write(message: ConnectResponse): void {
    const { clock, cut, log } = this.#ports;
    // Runs on when the stream ends meanwhile, since its status waits behind this message.
    this.#blocked = clock.after(BLOCKED_MS, () => {
      log.warn({ edge: this.#edge, ms: BLOCKED_MS }, 'the edge does not read what it is sent; cut off');
      this.end(status.RESOURCE_EXHAUSTED, `nothing was read for ${BLOCKED_MS} ms`);
      cut(this.#call.getPeer());
    });
    this.#call.write(message, () => {
      this.#blocked?.cancel();
      this.#blocked = undefined;
      this.#pump();
    });
  }
}
