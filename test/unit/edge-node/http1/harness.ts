// A connection in memory: what a client sends, what comes back, and a handler that a test writes.
import { type Duplex, duplexPair } from 'node:stream';
import { text } from 'node:stream/consumers';
import { Http1Connection } from '../../../../edge-node/io/http1/connection.ts';
import { DEFAULT_HTTP1_LIMITS, type Http1Limits, Http1Shared } from '../../../../edge-node/io/http1/shared.ts';
import type { ClientPort } from '../../../../edge-node/ports.ts';
import { FakeClock } from '../../../support/fake-clock.ts';

export type Handler = (client: ClientPort) => void;

/** Answers 200 with the target as the body. */
export const echo: Handler = (client) => ok(client, client.request.target);

/** Answers 200 with `body`. */
export function ok(client: ClientPort, body: string): void {
  const octets = Buffer.from(body);
  client.answer(200, ['date', 'now'], octets, octets.length);
}

/** What `ok` answers, as it goes out. */
export function okText(body: string, fields = ''): string {
  return `HTTP/1.1 200 OK\r\ndate: now\r\ncontent-length: ${body.length}\r\n${fields}\r\n${body}`;
}

export class Harness {
  readonly clock = new FakeClock();
  readonly refused: string[] = [];
  readonly client: Duplex;
  readonly server: Duplex;
  /** What came back so far, in the pieces in which it came. */
  readonly pieces: string[] = [];

  constructor(handler: Handler, limits: Partial<Http1Limits> = {}) {
    const [client, server] = duplexPair({ allowHalfOpen: true });
    const events = { onExchange: handler, onRefused: (code: string) => this.refused.push(code) };
    const shared = new Http1Shared(this.clock, events, { ...DEFAULT_HTTP1_LIMITS, ...limits });
    new Http1Connection(server, 'http', shared);
    this.client = client;
    this.server = server;
    client.on('error', () => undefined);
    this.shared = shared;
  }

  readonly shared: Http1Shared;

  /** Collects what comes back. */
  listen(): this {
    this.client.on('data', (data: Buffer) => this.pieces.push(data.toString('latin1')));
    return this;
  }

  get received(): string {
    return this.pieces.join('');
  }

  send(octets: string): void {
    this.client.write(octets, 'latin1');
  }
}

/** Everything that comes back for `octets` (latin1), after which the client closes its side, until the connection ends. */
export async function converse(octets: string, handler: Handler, limits: Partial<Http1Limits> = {}): Promise<string> {
  const harness = new Harness(handler, limits);
  harness.client.end(octets, 'latin1');
  return text(harness.client);
}

/** Lets what is under way in memory come to rest. */
export async function settled(): Promise<void> {
  for (let i = 0; i < 4; i += 1) await new Promise((resolve) => setImmediate(resolve));
}
