// What calls to origins say, noted; bodies for them; and an origin that answers octet by octet what the test says.
import assert from 'node:assert/strict';
import { createServer, type Socket } from 'node:net';
import { after } from 'node:test';
import tls from 'node:tls';
import type { FieldList } from '../../edge-node/decide/fields.ts';
import type { OriginFailure } from '../../edge-node/decide/retry.ts';
import type { OriginHandler, RequestBody } from '../../edge-node/ports.ts';
import { until } from './until.ts';

/** Notes what a call says. */
export class Recorder implements OriginHandler {
  readonly events: string[] = [];
  fields: FieldList = [];
  trailers: FieldList = [];
  body = '';
  failure: OriginFailure | undefined;

  onInformation(status: number): void {
    this.events.push(String(status));
  }

  onHead(status: number, fields: FieldList): void {
    this.events.push(String(status));
    this.fields = fields;
  }

  onData(chunk: Buffer): void {
    this.body += chunk.toString('latin1');
  }

  onEnd(trailers: FieldList): void {
    this.trailers = trailers;
    this.events.push('end');
  }

  onFailure(failure: OriginFailure): void {
    this.failure = failure;
    this.events.push(`${failure.phase} ${failure.code}`);
  }

  async over(): Promise<string[]> {
    await until('the end of the call', () => this.failure !== undefined || this.events.includes('end'));
    return this.events;
  }
}

/** A recorder that agrees to switch protocols, and then sends what `input` has. */
export class Switcher extends Recorder {
  readonly #input: RequestBody;

  constructor(input: RequestBody) {
    super();
    this.#input = input;
  }

  onSwitch(fields: FieldList): RequestBody {
    this.fields = fields;
    this.events.push('101');
    return this.#input;
  }
}

/** A body of a request whose pieces come when the test gives them. */
export class Body implements RequestBody {
  readonly length: number | undefined;
  readonly continueDue: boolean;
  consumed = false;
  trailers: FieldList = [];
  readonly #queue: (string | Error | undefined)[] = [];
  #wake: (() => void) | undefined;

  constructor({ length, continueDue = false }: { length?: number; continueDue?: boolean } = {}) {
    this.length = length;
    this.continueDue = continueDue;
  }

  /** A body that is there from the start. */
  static of(...pieces: readonly string[]): Body {
    const body = new Body();
    for (const piece of pieces) body.give(piece);
    body.give(undefined);
    return body;
  }

  /** The next piece; undefined: there is no more; an error: the client breaks off. */
  give(piece: string | Error | undefined): void {
    this.#queue.push(piece);
    this.#wake?.();
  }

  async *chunks(): AsyncIterable<Uint8Array> {
    this.consumed = true;
    for (;;) {
      while (this.#queue.length === 0) {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
      const piece = this.#queue.shift();
      if (piece === undefined) return;
      if (piece instanceof Error) throw piece;
      yield Buffer.from(piece, 'latin1');
    }
  }
}

export interface RawOrigin {
  readonly address: string;
  readonly sockets: Socket[];
  /** Everything received, of all connections. */
  text: string;
}

/** `answer` is called with each piece that arrives. Stopped at the end of the test or file. `secure`: speaks TLS; `halfOpen`: does not
 * close its side because the other did. */
export async function rawOrigin(
  answer: (socket: Socket, text: string) => void,
  { secure, halfOpen = false }: { secure?: tls.TlsOptions; halfOpen?: boolean } = {},
): Promise<RawOrigin> {
  const sockets: Socket[] = [];
  const raw: RawOrigin = { address: '', sockets, text: '' };
  const accept = (socket: Socket): void => {
    sockets.push(socket);
    socket.on('error', () => undefined);
    socket.on('data', (chunk: Buffer) => {
      raw.text += chunk.toString('latin1');
      answer(socket, chunk.toString('latin1'));
    });
  };
  const server = secure ? tls.createServer(secure, accept) : createServer({ allowHalfOpen: halfOpen }, accept);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  after(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  const address = server.address();
  assert.ok(typeof address === 'object' && address !== null);
  const base = secure ? 'https://localhost' : 'http://127.0.0.1';
  return Object.assign(raw, { address: `${base}:${address.port}` });
}
