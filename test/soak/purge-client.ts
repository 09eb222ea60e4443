// The thread of test/soak/purge-http.ts that asks: over a few connections that stay open, in turn, at a moderate rate.
import { connect, type Socket } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import { workerData } from 'node:worker_threads';

export interface ClientSetup {
  readonly port: number;
  readonly host: string;
  readonly connections: number;
  /** Asked for once each, as fast as they come; then `hot` of them, over and over. */
  readonly targets: readonly string[];
  readonly hot: readonly string[];
  readonly bodyBytes: number;
  /** [0]: the phase, -1 to end, set to 1 here once all `targets` were asked for; [1]: answers that were no hits. */
  readonly control: SharedArrayBuffer;
  /** As of the reader of test/soak/purge.ts. */
  readonly counts: SharedArrayBuffer;
  readonly units: number;
  readonly unitNs: number;
}

const { port, host, connections, targets, hot, bodyBytes, control, counts, units, unitNs } = workerData as ClientSetup;
const flags = new Int32Array(control);
const tally = new Float64Array(counts);
const PAUSE_MS = 1;

/** One request at a time. Resolves with the answer's head. */
class Client {
  readonly #socket: Socket;
  #head = '';
  #left = -1;
  #answered: (head: string) => void = () => {};
  #failed: (error: Error) => void = () => {};

  constructor() {
    this.#socket = connect({ port, host: '127.0.0.1', noDelay: true });
    this.#socket.on('data', (chunk: Buffer) => this.#read(chunk));
    this.#socket.on('close', () => this.#failed(new Error('a connection was closed')));
    this.#socket.on('error', (error) => this.#failed(error));
  }

  ask(target: string): Promise<string> {
    return new Promise((resolve, reject) => {
      this.#answered = resolve;
      this.#failed = reject;
      this.#head = '';
      this.#left = -1;
      this.#socket.write(`GET ${target} HTTP/1.1\r\nhost: ${host}\r\n\r\n`, 'latin1');
    });
  }

  end(): void {
    this.#socket.destroy();
  }

  #read(chunk: Buffer): void {
    if (this.#left === -1) {
      this.#head += chunk.toString('latin1');
      const end = this.#head.indexOf('\r\n\r\n');
      if (end === -1) return;
      this.#left = bodyBytes - (this.#head.length - end - 4);
      this.#head = this.#head.slice(0, end);
    } else {
      this.#left -= chunk.length;
    }
    if (this.#left === 0) this.#answered(this.#head);
  }
}

async function fill(client: Client, from: number): Promise<void> {
  for (let i = from; i < targets.length; i += connections) await client.ask(targets[i] ?? '');
}

async function hit(client: Client, from: number): Promise<void> {
  for (let i = from; ; i += connections) {
    const phase = Atomics.load(flags, 0);
    if (phase === -1) return;
    const started = performance.now();
    const head = await client.ask(hot[i % hot.length] ?? '');
    const took = performance.now() - started;
    if (!head.includes('; hit')) Atomics.add(flags, 1, 1);
    const at = phase * units + Math.min(units - 1, Math.floor((took * 1e6) / unitNs));
    tally[at] = (tally[at] ?? 0) + 1;
    await wait(PAUSE_MS);
  }
}

const clients = Array.from({ length: connections }, () => new Client());
await Promise.all(clients.map(fill));
Atomics.store(flags, 0, 1);
Atomics.notify(flags, 0);
await Promise.all(clients.map(hit));
for (const client of clients) client.end();
