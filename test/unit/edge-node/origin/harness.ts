// A client of origins whose sockets and clock the test moves: every interleaving can be driven, and nothing waits.
import assert from 'node:assert/strict';
import { type CompiledOrigin, type CompiledSnapshot, compileSnapshot } from '../../../../edge-node/decide/compile.ts';
import { OriginClient } from '../../../../edge-node/io/origin/client.ts';
import type { OriginSocket, SocketEvents } from '../../../../edge-node/io/origin/connector.ts';
import type { OriginLimits } from '../../../../edge-node/io/origin/shared.ts';
import type { OriginCall, OriginRequest } from '../../../../edge-node/ports.ts';
import { FakeClock } from '../../../support/fake-clock.ts';
import { Recorder } from '../../../support/origin-calls.ts';
import { poolOf, snapshotOf } from '../../../support/snapshots.ts';

export const GET: OriginRequest = { method: 'GET', target: '/', fields: ['host', 'demo.example'], body: undefined };

/** An answer without a body that keeps the connection. */
export const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n';
export const HELLO = 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello';

export class FakeSocket implements OriginSocket {
  readonly #events: SocketEvents;
  #target: Uint8Array;
  /** Everything written, latin1. */
  written = '';
  ended = false;
  destroyed = false;
  paused = false;
  writableNeedDrain = false;

  constructor(events: SocketEvents) {
    this.#events = events;
    this.#target = events.readTarget();
  }

  connect(): this {
    this.#events.onConnected();
    return this;
  }

  /** Octets from the origin, in one read or as many as they need. */
  read(text: string): void {
    const octets = Buffer.from(text, 'latin1');
    for (let at = 0; at < octets.length; ) {
      assert.ok(!this.destroyed && !this.paused, 'a read from a socket that is not read from');
      const length = Math.min(octets.length - at, this.#target.length);
      this.#target.set(octets.subarray(at, at + length));
      this.#events.onRead(length);
      at += length;
      this.#target = this.#events.readTarget();
    }
  }

  /** The origin closes its side. */
  finish(): void {
    this.#events.onEnd();
  }

  /** The connection is gone. */
  lose(error?: Error): void {
    this.destroyed = true;
    this.#events.onClosed(error);
  }

  drain(): void {
    this.writableNeedDrain = false;
    this.#events.onDrain();
  }

  write(data: string | Uint8Array): boolean {
    assert.ok(!this.destroyed && !this.ended, 'a write to a socket that is closed');
    this.written += typeof data === 'string' ? data : Buffer.from(data).toString('latin1');
    return !this.writableNeedDrain;
  }

  cork(): void {}

  uncork(): void {}

  end(): void {
    this.ended = true;
  }

  destroy(): void {
    this.destroyed = true;
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
  }
}

export interface Sent {
  readonly recorder: Recorder;
  readonly call: OriginCall;
}

export class Harness {
  readonly clock = new FakeClock();
  readonly client: OriginClient;
  /** All that were ever opened, in order. */
  readonly sockets: FakeSocket[] = [];
  readonly origin: CompiledOrigin;

  constructor(limits: Partial<OriginLimits> = {}) {
    this.client = new OriginClient({
      clock: this.clock,
      connector: () => (events) => {
        const socket = new FakeSocket(events);
        this.sockets.push(socket);
        return socket;
      },
      suspect: () => undefined,
      limits,
    });
    const snapshot = this.use({ london: 'http://london' });
    const origin = snapshot.pools[0]?.origins[0];
    assert.ok(origin);
    this.origin = origin;
  }

  /** Timeouts are a second each. */
  use(origins: Record<string, string>): CompiledSnapshot {
    const snapshot = compileSnapshot({ ...snapshotOf(1), pools: [poolOf(origins)] }, 'edge-1');
    this.client.use(snapshot);
    return snapshot;
  }

  send(request: Partial<OriginRequest> = {}, recorder = new Recorder()): Sent {
    return { recorder, call: this.client.send(this.origin, { ...GET, ...request }, recorder) };
  }

  /** The socket opened last. */
  get socket(): FakeSocket {
    return this.sockets.at(-1) ?? assert.fail('no connection was opened');
  }

  get open(): number {
    return this.sockets.filter(({ destroyed }) => !destroyed).length;
  }
}

/** Lets what was promised happen. */
export async function settled(): Promise<void> {
  for (let i = 0; i < 4; i += 1) await new Promise((resolve) => setImmediate(resolve));
}
