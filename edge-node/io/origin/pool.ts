// The connections to one origin, and the requests that wait for one of them: both bounded, the waiting in time, too. Whichever
// connection is ready first takes the request that has waited longest.
import type { Call, CallCarrier } from './call.ts';
import { type ConnectFailure, type ConnectionOwner, OriginConnection } from './connection.ts';
import type { Connect } from './connector.ts';
import type { OriginShared } from './shared.ts';

export class OriginPool implements ConnectionOwner, CallCarrier {
  readonly #connect: Connect;
  readonly #shared: OriginShared;
  /** All that may yet answer a request. */
  readonly #connections = new Set<OriginConnection>();
  readonly #tunnels = new Set<OriginConnection>();
  /** The one used last is taken first: what the load does not need stays unused, and closes. */
  readonly #idle: OriginConnection[] = [];
  #connecting = 0;
  /** In the order of their coming. */
  readonly #waiting = new Set<Call>();
  #retired = false;

  constructor(connect: Connect, shared: OriginShared) {
    this.#connect = connect;
    this.#shared = shared;
  }

  /** Whether there is nothing left of it. */
  get empty(): boolean {
    return this.#connections.size === 0 && this.#tunnels.size === 0 && this.#waiting.size === 0;
  }

  /** Sends `call` on a connection, now or when there is one; fails it when too many wait. */
  send(call: Call): void {
    const { limits } = this.#shared;
    if (call.request.upgrade !== undefined && this.#tunnels.size >= limits.tunnels) {
      call.fail('connect', 'origin-busy', `${limits.tunnels} tunnels are open already`);
      return;
    }
    const idle = call.request.fresh === true ? undefined : this.#idle.pop();
    if (idle !== undefined) {
      idle.begin(call);
      return;
    }
    if (this.#waiting.size >= limits.waiting + this.#room()) {
      call.fail('connect', 'origin-busy', `${limits.waiting} requests wait already`);
      return;
    }
    call.carrier = this;
    this.#waiting.add(call);
    this.#open(call.timeouts.connectMs);
  }

  /** No snapshot has this origin any more: connections close when they are done. */
  retire(): void {
    this.#retired = true;
    for (const connection of this.#idle.splice(0)) connection.close('the origin is gone');
  }

  /** Ends everything. */
  close(): void {
    this.#retired = true;
    for (const call of this.#waiting) call.fail('connect', 'origin-unreachable', 'the edge stops');
    this.#waiting.clear();
    for (const connection of [...this.#connections, ...this.#tunnels]) connection.close('the edge stops');
  }

  /** To be called often. `now`: monotonic milliseconds. */
  sweep(now: number): void {
    for (const connection of this.#connections) connection.sweep(now);
    for (const tunnel of this.#tunnels) tunnel.sweep(now);
    for (const call of this.#waiting) {
      call.waitingSince ??= now;
      if (now - call.waitingSince < call.timeouts.connectMs) continue;
      this.#waiting.delete(call);
      call.fail('connect', 'origin-busy', 'no connection became free in time');
    }
  }

  onConnected(connection: OriginConnection): void {
    this.#connecting -= 1;
    this.onFree(connection);
  }

  onFree(connection: OriginConnection): void {
    const [next] = this.#waiting;
    if (next !== undefined) {
      this.#waiting.delete(next);
      connection.begin(next);
    } else if (this.#retired || this.#idle.length >= this.#shared.limits.idle) {
      connection.close('there are idle connections enough');
    } else this.#idle.push(connection);
  }

  onSwitched(connection: OriginConnection): void {
    this.#connections.delete(connection);
    this.#tunnels.add(connection);
    this.#openForWaiting();
  }

  onClosed(connection: OriginConnection, failure: ConnectFailure | undefined): void {
    if (this.#tunnels.delete(connection)) return;
    this.#connections.delete(connection);
    const at = this.#idle.indexOf(connection);
    if (at !== -1) this.#idle.splice(at, 1);
    if (failure !== undefined) {
      this.#connecting -= 1;
      const [next] = this.#waiting;
      if (next !== undefined) {
        this.#waiting.delete(next);
        next.fail('connect', failure.code, failure.what);
      }
    }
    this.#openForWaiting();
  }

  /** A call that waits is held back by nothing else. */
  pause(): void {}

  resume(): void {}

  /** One that waited is no longer wanted. */
  drop(call: Call): void {
    this.#waiting.delete(call);
  }

  /** Requests that connections will be there for: those under way, and those that may yet be made. */
  #room(): number {
    return this.#connecting + this.#shared.limits.connections - this.#connections.size + this.#idle.length;
  }

  #openForWaiting(): void {
    for (const { timeouts } of this.#waiting) {
      if (this.#connecting >= this.#waiting.size) return;
      this.#open(timeouts.connectMs);
    }
  }

  /** Makes a connection if there is a request for it, and room. */
  #open(connectMs: number): void {
    if (this.#connecting >= this.#waiting.size) return;
    // Only a request that wants a new connection waits while another is idle.
    if (this.#connections.size >= this.#shared.limits.connections) {
      this.#idle.shift()?.close('to make room for a new one');
      return;
    }
    this.#connecting += 1;
    this.#connections.add(new OriginConnection(this, this.#connect, this.#shared, connectMs));
  }
}
