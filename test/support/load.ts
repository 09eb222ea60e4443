// Clients that keep on asking one server, over connections that they keep and over new ones for each request, and note every
// request that did not get its whole answer.
import { connect } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import { RawClient, request } from './raw-client.ts';

export interface LoadOptions {
  readonly port: number;
  /** Clients that keep their connection as long as the server does. */
  readonly keeping: number;
  /** Clients that connect anew for each request. */
  readonly connecting: number;
  /** Pause between two requests of one client, milliseconds. */
  readonly pauseMs: number;
  readonly target: string;
  /** The body of every answer. */
  readonly body: string;
}

export class Load {
  /** One line for each request that failed. */
  readonly failures: string[] = [];
  answered = 0;
  connections = 0;
  #over = false;
  readonly #clients: Promise<void>[];
  readonly #options: LoadOptions;

  constructor(options: LoadOptions) {
    this.#options = options;
    this.#clients = [
      ...Array.from({ length: options.keeping }, () => this.#keep()),
      ...Array.from({ length: options.connecting }, () => this.#connectAnew()),
    ];
  }

  /** Ends it, when every client has the answer that it waits for. */
  async stop(): Promise<void> {
    this.#over = true;
    await Promise.all(this.#clients);
  }

  async #keep(): Promise<void> {
    const { port, target, body, pauseMs } = this.#options;
    let client: RawClient | undefined;
    while (!this.#over) {
      try {
        if (client === undefined) {
          this.connections += 1;
          client = await RawClient.connect(port);
        }
        const answer = await client.ask(request('GET', target));
        if (answer.status !== 200 || answer.body !== body) throw new Error(`${answer.status} ${answer.body}`);
        this.answered += 1;
        // As RFC 9112 section 9.6 says.
        if (answer.fields.includes('close')) {
          client.destroy();
          client = undefined;
        }
      } catch (error) {
        this.failures.push(`on a kept connection: ${error instanceof Error ? error.message : String(error)}`);
        client?.destroy();
        client = undefined;
      }
      await wait(pauseMs);
      // One that the server closed while nothing was asked has lost nothing.
      if (client?.isClosed || client?.socket.readableEnded) client = undefined;
    }
    client?.destroy();
  }

  async #connectAnew(): Promise<void> {
    const { port, target, body, pauseMs } = this.#options;
    while (!this.#over) {
      this.connections += 1;
      const outcome = await askOnce(port, request('GET', target, 'Connection: close'));
      if (outcome.startsWith('HTTP/1.1 200 ') && outcome.endsWith(`\r\n\r\n${body}`)) this.answered += 1;
      else this.failures.push(`on a new connection: ${JSON.stringify(outcome)}`);
      await wait(pauseMs);
    }
  }
}

/** All that comes back, or how it failed. */
function askOnce(port: number, text: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    let received = '';
    socket.setEncoding('latin1').setTimeout(20_000, () => socket.destroy(new Error('no answer for 20 s')));
    socket.on('data', (piece: string) => {
      received += piece;
    });
    socket.on('error', (error: NodeJS.ErrnoException) => resolve(`${error.code ?? error.message} after ${received}`));
    socket.on('close', () => resolve(received));
    socket.write(text);
  });
}
