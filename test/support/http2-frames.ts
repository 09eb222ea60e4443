// A client that sends exactly the HTTP/2 frames that a test says (RFC 9113 section 4, RFC 7541), over a TLS socket.
import type { TLSSocket } from 'node:tls';
import { connectTls } from './tls-edge.ts';
import { until } from './until.ts';

export const TYPE = {
  data: 0,
  headers: 1,
  priority: 2,
  rstStream: 3,
  settings: 4,
  pushPromise: 5,
  ping: 6,
  goaway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const;

export const FLAG = { ack: 1, endStream: 1, endHeaders: 4 } as const;

export const CODE = { none: 0, protocol: 1, internal: 2, flowControl: 3, cancel: 8, compression: 9, calm: 11 } as const;

export const SETTING = { headerTableSize: 1, initialWindowSize: 4 } as const;

export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  readonly payload: Buffer;
}

/** RFC 9113 section 4.2: what every server takes. */
const FRAME_MAX = 16_384;
const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';

export function frame(type: number, flags: number, stream: number, payload: Buffer = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

export function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

export function settings(values: Readonly<Record<number, number>> = {}): Buffer {
  const parts = Object.entries(values).map(([id, value]) => {
    const id16 = Buffer.alloc(2);
    id16.writeUInt16BE(Number(id));
    return Buffer.concat([id16, uint32(value)]);
  });
  return frame(TYPE.settings, 0, 0, Buffer.concat(parts));
}

/** An integer with a prefix of `bits` (RFC 7541 section 5.1), `high` being the bits before it. */
function integer(value: number, bits: number, high = 0): Buffer {
  const most = 2 ** bits - 1;
  if (value < most) return Buffer.from([high | value]);
  const bytes = [high | most];
  let left = value - most;
  for (; left >= 128; left = Math.floor(left / 128)) bytes.push((left % 128) | 128);
  bytes.push(left);
  return Buffer.from(bytes);
}

/** Fields (name, value, name, value ...) without compression: literals that are not indexed. */
export function block(fields: readonly string[]): Buffer {
  const parts: Buffer[] = [];
  for (const [index, text] of fields.entries()) {
    if (index % 2 === 0) parts.push(Buffer.from([0]));
    const bytes = Buffer.from(text, 'latin1');
    parts.push(integer(bytes.length, 7), bytes);
  }
  return Buffer.concat(parts);
}

/** A GET of `path` on demo.example; `pseudo` replaces or removes pseudo-fields, `fields` come after them. */
export function get(
  path = '/',
  fields: readonly string[] = [],
  pseudo: Readonly<Record<string, string | undefined>> = {},
): string[] {
  const all = { ':method': 'GET', ':scheme': 'https', ':authority': 'demo.example', ':path': path, ...pseudo };
  return [...Object.entries(all).flatMap(([name, value]) => (value === undefined ? [] : [name, value])), ...fields];
}

export class FrameClient {
  readonly socket: TLSSocket;
  /** All that came, in order. */
  readonly frames: Frame[] = [];
  closed = false;
  #buffered = Buffer.alloc(0);
  #nextStream = 1;

  private constructor(socket: TLSSocket) {
    this.socket = socket;
    socket.on('data', (chunk: Buffer) => this.#onData(chunk));
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.closed = true;
    });
  }

  /** Connects and sends the preface and `values` as settings. Without a dynamic table, statuses are easy to read. */
  static async connect(port: number, values: Readonly<Record<number, number>> = {}): Promise<FrameClient> {
    const client = new FrameClient(await connectTls(port, { ALPNProtocols: ['h2'] }));
    client.send(Buffer.from(PREFACE), settings({ [SETTING.headerTableSize]: 0, ...values }));
    await until('the settings', () => client.frames.some(({ type, flags }) => type === TYPE.settings && flags === 0));
    client.send(frame(TYPE.settings, FLAG.ack, 0));
    return client;
  }

  send(...parts: readonly Buffer[]): void {
    if (!this.socket.destroyed) this.socket.write(Buffer.concat(parts));
  }

  /** Sends the head of a request on a stream of its own, whose id is returned; a long one goes on in CONTINUATION. */
  request(fields: readonly string[], flags: number = FLAG.endHeaders | FLAG.endStream): number {
    const id = this.stream();
    const whole = block(fields);
    const first = whole.length > FRAME_MAX ? flags & ~FLAG.endHeaders : flags;
    this.send(frame(TYPE.headers, first, id, whole.subarray(0, FRAME_MAX)));
    for (let at = FRAME_MAX; at < whole.length; at += FRAME_MAX) {
      const last = at + FRAME_MAX >= whole.length ? FLAG.endHeaders : 0;
      this.send(frame(TYPE.continuation, last, id, whole.subarray(at, at + FRAME_MAX)));
    }
    return id;
  }

  /** The id of a new stream. */
  stream(): number {
    this.#nextStream += 2;
    return this.#nextStream - 2;
  }

  data(stream: number, text: string | Buffer, end = false): void {
    this.send(frame(TYPE.data, end ? FLAG.endStream : 0, stream, Buffer.from(text)));
  }

  reset(stream: number, code: number = CODE.cancel): void {
    this.send(frame(TYPE.rstStream, 0, stream, uint32(code)));
  }

  /** Status of the answer on `stream` or, when it was reset, "reset CODE". Waits for either. */
  async outcome(stream: number): Promise<string> {
    let found: string | undefined;
    await until(`an answer on stream ${stream}`, () => {
      found = this.outcomeSoFar(stream);
      if (found === undefined && this.closed) found = `closed ${this.goaway ?? ''}`;
      return found !== undefined;
    });
    return found ?? '';
  }

  outcomeSoFar(stream: number): string | undefined {
    for (const { type, stream: id, payload } of this.frames) {
      if (id !== stream) continue;
      if (type === TYPE.headers && statusOf(payload) >= 200) return String(statusOf(payload));
      if (type === TYPE.rstStream) return `reset ${payload.readUInt32BE(0)}`;
    }
    return undefined;
  }

  /** How the server's side of `stream` ended, if it has: "whole" or "reset CODE". */
  endOf(stream: number): string | undefined {
    for (const { type, flags, stream: id, payload } of this.frames) {
      if (id !== stream) continue;
      if (type === TYPE.rstStream) return `reset ${payload.readUInt32BE(0)}`;
      if ((type === TYPE.headers || type === TYPE.data) && flags & FLAG.endStream) return 'whole';
    }
    return undefined;
  }

  /** What has come as a body on `stream`. */
  body(stream: number): string {
    const data = this.frames.filter(({ type, stream: id }) => type === TYPE.data && id === stream);
    return Buffer.concat(data.map(({ payload }) => payload)).toString('latin1');
  }

  /** Code of the last GOAWAY, if any. */
  get goaway(): number | undefined {
    return this.frames.findLast(({ type }) => type === TYPE.goaway)?.payload.readUInt32BE(4);
  }

  async ended(): Promise<void> {
    await until('the connection to be closed', () => this.closed);
  }

  destroy(): void {
    this.socket.destroy();
  }

  #onData(chunk: Buffer): void {
    this.#buffered = Buffer.concat([this.#buffered, chunk]);
    for (;;) {
      const length = this.#buffered.length < 9 ? Number.NaN : this.#buffered.readUIntBE(0, 3);
      if (!(this.#buffered.length >= 9 + length)) return;
      this.frames.push({
        type: this.#buffered.readUInt8(3),
        flags: this.#buffered.readUInt8(4),
        stream: this.#buffered.readUInt32BE(5) & 0x7fff_ffff,
        payload: this.#buffered.subarray(9, 9 + length),
      });
      this.#buffered = this.#buffered.subarray(9 + length);
    }
  }
}

/** RFC 7541 appendix A, from index 8. */
const STATUSES = [200, 204, 206, 304, 400, 404, 500];
/** RFC 7541 appendix B: bits of "0" to "2" are 00000 to 00010, those of "3" to "9" 011001 to 011111. */
function digits(bytes: Buffer): number {
  const bits = [...bytes].map((byte) => byte.toString(2).padStart(8, '0')).join('');
  let text = '';
  for (let at = 0; text.length < 3; ) {
    const long = bits[at + 1] === '1';
    text += long ? Number.parseInt(bits.slice(at, at + 6), 2) - 22 : Number.parseInt(bits.slice(at, at + 5), 2);
    at += long ? 6 : 5;
  }
  return Number(text);
}

/** The status that a header block without a dynamic table begins with. */
function statusOf(payload: Buffer): number {
  let at = 0;
  // Updates of the table's size.
  while (((payload[at] ?? 0) & 0xe0) === 0x20) at += 1;
  const first = payload[at] ?? 0;
  if (first >= 0x88 && first <= 0x8e) return STATUSES[first - 0x88] ?? 0;
  const length = payload[at + 1] ?? 0;
  const value = payload.subarray(at + 2, at + 2 + (length & 0x7f));
  return length & 0x80 ? digits(value) : Number(value.toString('latin1'));
}
