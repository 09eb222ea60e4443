// A client that says exactly what the test says, byte by byte, and reads answers strictly.
import { connect, type Socket } from 'node:net';
import { type FieldList, field } from '../../edge-node/decide/fields.ts';
import { until } from './until.ts';

export interface RawResponse {
  readonly status: number;
  readonly version: string;
  /** Names in lower case. */
  readonly fields: FieldList;
  readonly body: string;
}

export class RawClient {
  readonly socket: Socket;
  #received = Buffer.alloc(0);
  #ended = false;
  #closed = false;

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (chunk: Buffer) => {
      this.#received = Buffer.concat([this.#received, chunk]);
    });
    socket.on('end', () => {
      this.#ended = true;
    });
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.#ended = true;
      this.#closed = true;
    });
  }

  static async connect(port: number): Promise<RawClient> {
    const client = new RawClient(connect(port, '127.0.0.1'));
    await until('the connection', () => !client.socket.connecting);
    return client;
  }

  /** `text` in Latin-1. */
  send(text: string): void {
    this.socket.write(text, 'latin1');
  }

  /** Sends `text` and returns the answer to it. */
  async ask(text: string, method = 'GET'): Promise<RawResponse> {
    this.send(text);
    return await this.response(method);
  }

  /** The next answer, complete; informational ones count. `method`: of its request. */
  async response(method = 'GET'): Promise<RawResponse> {
    let response: RawResponse | undefined;
    await until('an answer', () => {
      response = this.#take(method);
      if (!response && this.#ended) {
        throw new Error(`the connection was closed after ${JSON.stringify(this.#received.toString('latin1'))}`);
      }
      return response !== undefined;
    });
    if (!response) throw new Error('no answer');
    return response;
  }

  /** Waits for the other side to close; fails when anything but `rest` had come before. */
  async closed(rest = ''): Promise<void> {
    await until('the connection to be closed', () => this.#ended);
    const received = this.#received.toString('latin1');
    if (received !== rest) throw new Error(`expected ${JSON.stringify(rest)}, found ${JSON.stringify(received)}`);
  }

  /** What has come and was not taken as an answer. */
  get unread(): string {
    return this.#received.toString('latin1');
  }

  /** Breaks the connection off. */
  destroy(): void {
    this.socket.destroy();
  }

  get isClosed(): boolean {
    return this.#closed;
  }

  #take(method: string): RawResponse | undefined {
    const end = this.#received.indexOf('\r\n\r\n');
    if (end === -1) return undefined;
    const [statusLine = '', ...lines] = this.#received.subarray(0, end).toString('latin1').split('\r\n');
    const match = /^HTTP\/(1\.[01]) ([1-5]\d\d) [\t -~]*$/.exec(statusLine);
    if (!match) throw new Error(`not a status line: ${JSON.stringify(statusLine)}`);
    const fields = lines.flatMap((line) => {
      const pair = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[\t ]*(.*?)[\t ]*$/.exec(line);
      if (!pair) throw new Error(`not a field line: ${JSON.stringify(line)}`);
      return [(pair[1] ?? '').toLowerCase(), pair[2] ?? ''];
    });
    const status = Number(match[2]);
    const rest = this.#received.subarray(end + 4);
    const body =
      status < 200 || status === 204 || status === 304 || method === 'HEAD' ? NO_BODY : this.#body(fields, rest);
    if (!body) return undefined;
    this.#received = rest.subarray(body.length);
    return { status, version: match[1] ?? '', fields, body: body.text };
  }

  #body(fields: FieldList, rest: Buffer): { text: string; length: number } | undefined {
    const declared = field(fields, 'content-length');
    if (field(fields, 'transfer-encoding') === 'chunked') {
      if (declared !== undefined) throw new Error('both Content-Length and Transfer-Encoding');
      return dechunk(rest);
    }
    const length = declared === undefined ? rest.length : Number(declared);
    if (declared === undefined ? !this.#ended : rest.length < length) return undefined;
    return { text: rest.subarray(0, length).toString('latin1'), length };
  }
}

const NO_BODY = { text: '', length: 0 };

function dechunk(bytes: Buffer): { text: string; length: number } | undefined {
  let text = '';
  let at = 0;
  for (;;) {
    const end = bytes.indexOf('\r\n', at);
    if (end === -1) return undefined;
    const line = bytes.subarray(at, end).toString('latin1');
    if (!/^[0-9a-fA-F]{1,8}$/.test(line)) throw new Error(`not the size of a chunk: ${JSON.stringify(line)}`);
    const size = Number.parseInt(line, 16);
    at = end + 2;
    if (bytes.length < at + size + 2) return undefined;
    if (bytes.toString('latin1', at + size, at + size + 2) !== '\r\n') throw new Error('a chunk does not end');
    text += bytes.toString('latin1', at, at + size);
    at += size + 2;
    if (size === 0) return { text, length: at };
  }
}

/** A request's head as text: `request('GET', '/a', 'X-A: b')`, on demo.example unless a Host line is among `lines`. */
export function request(method: string, target: string, ...lines: readonly string[]): string {
  const host = lines.some((line) => /^host:/i.test(line)) ? [] : ['Host: demo.example'];
  return `${[`${method} ${target} HTTP/1.1`, ...host, ...lines].join('\r\n')}\r\n\r\n`;
}
