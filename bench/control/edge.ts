// A simulated edge: its end of the stream to a control plane and nothing behind it, over a socket of its own. It confirms at once
// whatever it is sent. As little HTTP/2 (RFC 9113) and gRPC as that takes, since thousands of them share a core with what is
// measured: flow control is opened wide, and of a configuration no more is read than its version.
import { connect, type Socket } from 'node:net';
import { BinaryReader } from '@bufbuild/protobuf/wire';
import { ConnectRequest } from '../../proto/gen/meridian/v1/edge.ts';
import { PurgeBatch, type PurgePosition } from '../../proto/gen/meridian/v1/purge.ts';
import { Version } from '../../proto/gen/meridian/v1/resources.ts';
import { PROTOCOL_VERSION } from '../../proto/version.ts';

const DATA = 0;
const HEADERS = 1;
const RST_STREAM = 3;
const SETTINGS = 4;
const PING = 6;
const GOAWAY = 7;
const WINDOW_UPDATE = 8;
const ACK = 1;
const END_HEADERS = 4;
const FRAME_HEAD = 9;
const MESSAGE_HEAD = 5;
const STREAM = 1;
const WINDOW = 2 ** 31 - 1;
const DEFAULT_WINDOW = 65_535;
const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';
const PATH = '/meridian.v1.EdgeControlService/Connect';

type Up = NonNullable<ConnectRequest['message']>;

export class SimulatedEdge {
  readonly #socket: Socket;
  readonly #ended: (reason: string) => void;
  #chunks: Buffer[] = [];
  #buffered = 0;
  /** Bytes to wait for before it is worth looking. */
  #wanted = FRAME_HEAD;
  /** Of gRPC messages that came in part. */
  #body: Buffer[] = [];
  #bodyBytes = 0;
  #bodyWanted = MESSAGE_HEAD;
  #over = false;
  /** Where it stands. */
  applied: Version | undefined;
  position: PurgePosition | undefined;
  /** Bytes that came over the socket. */
  received = 0;
  /** Batches of purges that it confirmed. */
  purges = 0;

  /** Dials `127.0.0.1:port`. `ended` is called when the stream ends. `former`: the same edge before. */
  constructor(port: number, name: string, former: SimulatedEdge | undefined, ended: (reason: string) => void) {
    this.#ended = ended;
    this.applied = former?.applied;
    this.position = former?.position;
    this.#socket = connect({ port, host: '127.0.0.1', noDelay: true });
    this.#socket.on('data', (chunk: Buffer) => this.#take(chunk));
    this.#socket.on('error', () => undefined);
    this.#socket.on('close', () => this.#end('the connection broke'));
    this.#socket.write(Buffer.concat([OPENING, frame(HEADERS, END_HEADERS, STREAM, fields(port))]));
    this.send({
      $case: 'hello',
      value: {
        ...{ protocolVersion: PROTOCOL_VERSION, edge: name, instance: 'simulated', softwareVersion: '0' },
        ...{ applied: this.applied, parked: undefined, purgePosition: this.position, whole: false },
      },
    });
    this.send({ $case: 'healthReport', value: { full: true, transitions: [] } });
  }

  send(message: Up): void {
    const bytes = ConnectRequest.encode({ message }).finish();
    const head = Buffer.alloc(MESSAGE_HEAD);
    head.writeUInt32BE(bytes.length, 1);
    if (!this.#over) this.#socket.write(frame(DATA, 0, STREAM, Buffer.concat([head, bytes])));
  }

  #end(reason: string): void {
    if (this.#over) return;
    this.#over = true;
    this.#socket.destroy();
    this.#ended(reason);
  }

  #take(chunk: Buffer): void {
    this.received += chunk.length;
    this.#chunks.push(chunk);
    this.#buffered += chunk.length;
    if (this.#buffered < this.#wanted) return;
    const bytes = this.#chunks.length === 1 ? chunk : Buffer.concat(this.#chunks);
    let at = 0;
    this.#wanted = FRAME_HEAD;
    while (bytes.length - at >= FRAME_HEAD) {
      const end = at + FRAME_HEAD + bytes.readUIntBE(at, 3);
      if (end > bytes.length) {
        this.#wanted = end - at;
        break;
      }
      this.#frame(bytes.readUInt8(at + 3), bytes.readUInt8(at + 4), bytes.subarray(at + FRAME_HEAD, end));
      at = end;
    }
    this.#chunks = at === bytes.length ? [] : [bytes.subarray(at)];
    this.#buffered = bytes.length - at;
  }

  #frame(type: number, flags: number, payload: Buffer): void {
    if (type === DATA) this.#data(payload);
    else if (type === SETTINGS && (flags & ACK) === 0) this.#socket.write(frame(SETTINGS, ACK, 0));
    else if (type === PING && (flags & ACK) === 0) this.#socket.write(frame(PING, ACK, 0, payload));
    else if (type === RST_STREAM || type === GOAWAY || (type === HEADERS && (flags & 1) !== 0)) {
      this.#end('the control plane ended it');
    }
  }

  #data(payload: Buffer): void {
    this.#body.push(payload);
    this.#bodyBytes += payload.length;
    if (this.#bodyBytes < this.#bodyWanted) return;
    const bytes = this.#body.length === 1 ? payload : Buffer.concat(this.#body);
    let at = 0;
    this.#bodyWanted = MESSAGE_HEAD;
    while (bytes.length - at >= MESSAGE_HEAD) {
      const end = at + MESSAGE_HEAD + bytes.readUInt32BE(at + 1);
      if (end > bytes.length) {
        this.#bodyWanted = end - at;
        break;
      }
      this.#message(bytes.subarray(at + MESSAGE_HEAD, end));
      at = end;
    }
    this.#body = at === bytes.length ? [] : [bytes.subarray(at)];
    this.#bodyBytes = bytes.length - at;
  }

  #message(bytes: Buffer): void {
    const batch = field(bytes, 2);
    if (batch) {
      this.position = positionAfter(PurgeBatch.decode(batch)) ?? this.position;
      if (this.position) this.send({ $case: 'purgeAck', value: { position: this.position } });
      this.purges += 1;
    }
    // SnapshotUpdate: a Snapshot whose first field is the version, or a SnapshotDelta whose second is.
    const update = field(bytes, 1);
    const snapshot = update && field(update, 1);
    const delta = update && field(update, 2);
    const version = snapshot ? field(snapshot, 1) : delta && field(delta, 2);
    if (!version) return;
    this.applied = Version.decode(version);
    this.send({ $case: 'snapshotAck', value: { version: this.applied } });
  }
}

function positionAfter({ epoch, purges, resetTo }: PurgeBatch): PurgePosition | undefined {
  const last = purges.at(-1);
  return last ? { epoch, sequence: last.sequence } : resetTo;
}

/** The bytes of the first field `number` of a message, which has a length. */
function field(message: Uint8Array, number: number): Uint8Array | undefined {
  const reader = new BinaryReader(message);
  while (reader.pos < reader.len) {
    const [found, type] = reader.tag();
    if (found === number) return reader.bytes();
    reader.skip(type, found);
  }
  return undefined;
}

function frame(type: number, flags: number, stream: number, payload: Buffer = Buffer.alloc(0)): Buffer {
  const bytes = Buffer.alloc(FRAME_HEAD + payload.length);
  bytes.writeUIntBE(payload.length, 0, 3);
  bytes.writeUInt8(type, 3);
  bytes.writeUInt8(flags, 4);
  bytes.writeUInt32BE(stream, 5);
  payload.copy(bytes, FRAME_HEAD);
  return bytes;
}

/** Literals that are not indexed (RFC 7541 section 6.2.2); none is longer than 126 octets. */
function fields(port: number): Buffer {
  const pseudo = [':method', 'POST', ':scheme', 'http', ':path', PATH, ':authority', `127.0.0.1:${port}`];
  const all = [...pseudo, 'content-type', 'application/grpc', 'te', 'trailers'];
  const parts = all.map((text, index) =>
    Buffer.concat([Buffer.of(...(index % 2 === 0 ? [0] : []), text.length), Buffer.from(text)]),
  );
  return Buffer.concat(parts);
}

const OPENING = Buffer.concat([
  Buffer.from(PREFACE),
  // SETTINGS_HEADER_TABLE_SIZE 0, SETTINGS_INITIAL_WINDOW_SIZE as large as it may be.
  frame(SETTINGS, 0, 0, Buffer.from([0, 1, 0, 0, 0, 0, 0, 4, 0x7f, 0xff, 0xff, 0xff])),
  frame(WINDOW_UPDATE, 0, 0, uint32(WINDOW - DEFAULT_WINDOW)),
]);

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}
