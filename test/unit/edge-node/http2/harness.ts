// A connection in memory: what a client sends, what comes back, frame by frame, and a handler that a test writes.
import { Duplex, duplexPair } from 'node:stream';
import { FLAG, FRAME } from '../../../../edge-node/decide/http2/codes.ts';
import { PREFACE } from '../../../../edge-node/decide/http2/frame-reader.ts';
import { HpackDecoder } from '../../../../edge-node/decide/http2/hpack-decoder.ts';
import { Http2Connection } from '../../../../edge-node/io/http2/connection.ts';
import { DEFAULT_HTTP2_LIMITS, type Http2Limits, Http2Shared } from '../../../../edge-node/io/http2/shared.ts';
import type { ClientPort } from '../../../../edge-node/ports.ts';
import { FakeClock } from '../../../support/fake-clock.ts';
import { type Frame, settings } from '../../../support/http2-frames.ts';

export type Handler = (client: ClientPort) => void;

export const START: Buffer = Buffer.concat([Buffer.from(PREFACE), settings()]);

export class Harness {
  readonly clock = new FakeClock();
  readonly refused: string[] = [];
  readonly client: Duplex;
  readonly server: Duplex;
  readonly connection: Http2Connection;
  readonly shared: Http2Shared;
  ended = false;
  /** Pieces that the server wrote. */
  readonly pieces: Buffer[] = [];

  constructor(handler: Handler, limits: Partial<Http2Limits> = {}) {
    const [client, wire] = duplexPair();
    // As TLS does, and the pair does not: what was written may be changed once it has been taken.
    const server = new Duplex({
      read: () => wire.resume(),
      write: (chunk: Buffer, _, done) => wire.write(Buffer.from(chunk), done),
      final: (done) => wire.end(done),
      destroy: (error, done) => {
        wire.destroy();
        done(error);
      },
    });
    wire.on('data', (chunk: Buffer) => server.push(chunk) || wire.pause());
    wire.on('end', () => server.push(null));
    wire.on('error', () => undefined);
    wire.on('close', () => server.destroy());
    const events = {
      onExchange: handler,
      onRefused: (reason: string, detail: string) => this.refused.push(`${reason}: ${detail}`),
    };
    this.shared = new Http2Shared(this.clock, events, { ...DEFAULT_HTTP2_LIMITS, ...limits });
    this.connection = new Http2Connection(server, this.shared);
    this.client = client;
    this.server = server;
    client.on('error', () => undefined);
    client.on('end', () => {
      this.ended = true;
    });
  }

  /** Collects what comes back. */
  listen(): this {
    this.client.on('data', (data: Buffer) => this.pieces.push(data));
    return this;
  }

  send(...parts: readonly Buffer[]): void {
    if (!this.client.destroyed) this.client.write(Buffer.concat(parts));
  }

  get received(): Frame[] {
    const all = Buffer.concat(this.pieces);
    const found: Frame[] = [];
    for (let at = 0; at + 9 <= all.length; ) {
      const payload = all.subarray(at + 9, at + 9 + all.readUIntBE(at, 3));
      found.push({
        type: all.readUInt8(at + 3),
        flags: all.readUInt8(at + 4),
        stream: all.readUInt32BE(at + 5),
        payload,
      });
      at += 9 + payload.length;
    }
    return found;
  }

  /** What came on each stream: fields, bodies, and how it ended; what happened in between on others is left out. */
  streams(): Map<number, string> {
    const decoder = new HpackDecoder();
    const found = new Map<number, string>();
    let block = Buffer.alloc(0);
    for (const { type, flags, stream, payload } of this.received) {
      let text = found.get(stream) ?? '';
      if (type === FRAME.headers || type === FRAME.continuation) {
        block = Buffer.concat([block, payload]);
        if ((flags & FLAG.endHeaders) !== 0) {
          text += `${decoder.decode(block, 0, block.length, { fieldCount: 100, fieldBytes: 100_000 }).join('|')}\n`;
          block = Buffer.alloc(0);
        }
      } else if (type === FRAME.data) text += payload.toString('latin1');
      else if (type === FRAME.rstStream) text += `\nreset ${payload.readUInt32BE(0)}`;
      else continue;
      if ((type === FRAME.headers || type === FRAME.data) && (flags & FLAG.endStream) !== 0) text += '\nend';
      found.set(stream, text);
    }
    return found;
  }
}

/** Waits for `condition`, which what is under way in memory has to bring about. */
export async function comes(condition: () => boolean): Promise<void> {
  for (let i = 0; i < 10_000 && !condition(); i += 1) await new Promise((resolve) => setImmediate(resolve));
}

/** Lets what is under way in memory come to rest. */
export async function settled(): Promise<void> {
  for (let i = 0; i < 6; i += 1) await new Promise((resolve) => setImmediate(resolve));
}
