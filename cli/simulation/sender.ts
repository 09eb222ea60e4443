// Sends requests as the clients of one city would: over connections of its own that are kept alive, to one edge.
import http from 'node:http';
import https from 'node:https';
import { isIP } from 'node:net';
import type { Clock } from '../../infra/runtime/clock.ts';
import type { Answer } from './answer.ts';

export interface SenderOptions {
  readonly clock: Clock;
  /** `http://HOST:PORT` or `https://HOST:PORT`. */
  readonly url: string;
  /** Value of the Host field, and the name that TLS asks for. */
  readonly host: string;
  readonly connections: number;
  readonly timeoutMs: number;
  /** Sent with every request. */
  readonly fields: Readonly<Record<string, string>>;
}

export class Sender {
  readonly #options: SenderOptions;
  readonly #url: URL;
  readonly #request: typeof http.request;
  readonly #agent: http.Agent;

  constructor(options: SenderOptions) {
    this.#options = options;
    this.#url = new URL(options.url);
    const secure = this.#url.protocol === 'https:';
    this.#request = secure ? https.request : http.request;
    const limits = { keepAlive: true, maxSockets: options.connections, maxFreeSockets: options.connections };
    this.#agent = secure ? new https.Agent(limits) : new http.Agent(limits);
  }

  /** Rejects with a short reason: `ECONNREFUSED`, `no answer within 5000 ms`. `address`: whom it comes from. */
  async send(path: string, address: string, fields: Readonly<Record<string, string>> = {}): Promise<Answer> {
    try {
      return await this.#once(path, address, fields);
    } catch (error) {
      // A connection that was kept alive may have been closed at the other end just as it was used again.
      if (!(error instanceof LostReused)) throw error;
      return this.#once(path, address, fields);
    }
  }

  /** Ends all connections; what is under way fails. */
  close(): void {
    this.#agent.destroy();
  }

  #once(path: string, address: string, fields: Readonly<Record<string, string>>): Promise<Answer> {
    const { clock, host, timeoutMs } = this.#options;
    const { promise, resolve, reject } = Promise.withResolvers<Answer>();
    const began = clock.monotonic();
    const name = host.replace(/:\d+$/, '');
    const options: https.RequestOptions = {
      agent: this.#agent,
      hostname: this.#url.hostname.replace(/^\[|\]$/g, ''),
      path,
      headers: { host, 'x-forwarded-for': address, ...this.#options.fields, ...fields },
      ...(this.#url.port !== '' && { port: this.#url.port }),
      ...(isIP(name) === 0 && { servername: name }),
    };
    const request = this.#request(options);
    const timer = clock.after(timeoutMs, () => request.destroy(new Error(`no answer within ${timeoutMs} ms`)));
    let answering = false;
    const fail = (error: NodeJS.ErrnoException): void => {
      timer.cancel();
      const reason = error.code ?? error.message;
      const lost = request.reusedSocket && !answering && reason === 'ECONNRESET';
      reject(lost ? new LostReused(reason) : new Error(reason));
    };
    request.on('error', fail);
    request.on('response', (response) => {
      answering = true;
      response.on('error', fail);
      response.on('end', () => {
        timer.cancel();
        resolve({
          status: response.statusCode ?? 0,
          fields: singleFields(response.headers),
          elapsedMs: clock.monotonic() - began,
        });
      });
      response.resume();
    });
    request.end();
    return promise;
  }
}

class LostReused extends Error {}

function singleFields(headers: http.IncomingHttpHeaders): Record<string, string | undefined> {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name, Array.isArray(value) ? value.join(', ') : value]),
  );
}
