// Frames to send (RFC 9113 sections 4.1 and 6). Those that are short and rare are text, in which each character stands for one octet
// (latin1); the heads of the many are put into the buffer that goes out.
import { type Code, FLAG, FRAME, FRAME_MAX } from './codes.ts';

export const FRAME_HEAD_BYTES = 9;

/** Writes the head of a frame to `buffer[at..at + 9)`. `length`: octets of the payload, below 2^24. */
export function putFrameHead(
  buffer: Uint8Array,
  at: number,
  length: number,
  type: number,
  flags: number,
  stream: number,
): void {
  buffer[at] = length >>> 16;
  buffer[at + 1] = length >>> 8;
  buffer[at + 2] = length;
  buffer[at + 3] = type;
  buffer[at + 4] = flags;
  buffer[at + 5] = stream >>> 24;
  buffer[at + 6] = stream >>> 16;
  buffer[at + 7] = stream >>> 8;
  buffer[at + 8] = stream;
}

/** The same as text. */
export function frameHead(length: number, type: number, flags: number, stream: number): string {
  return String.fromCharCode(
    length >>> 16,
    (length >>> 8) & 0xff,
    length & 0xff,
    type,
    flags,
    stream >>> 24,
    (stream >>> 16) & 0xff,
    (stream >>> 8) & 0xff,
    stream & 0xff,
  );
}

export function uint32(value: number): string {
  return String.fromCharCode(value >>> 24, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff);
}

/** HEADERS, with CONTINUATION where `block` is too long for one frame. */
export function headersFrames(block: string, stream: number, endStream: boolean): string {
  const end = endStream ? FLAG.endStream : 0;
  if (block.length <= FRAME_MAX) {
    return frameHead(block.length, FRAME.headers, FLAG.endHeaders | end, stream) + block;
  }
  let frames = frameHead(FRAME_MAX, FRAME.headers, end, stream) + block.slice(0, FRAME_MAX);
  for (let at = FRAME_MAX; at < block.length; at += FRAME_MAX) {
    const part = block.slice(at, at + FRAME_MAX);
    const last = at + FRAME_MAX >= block.length ? FLAG.endHeaders : 0;
    frames += frameHead(part.length, FRAME.continuation, last, stream) + part;
  }
  return frames;
}

/** `values`: id, value, id, value ... */
export function settingsFrame(values: readonly number[]): string {
  let payload = '';
  for (let i = 0; i < values.length; i += 2) {
    const id = values[i] ?? 0;
    payload += String.fromCharCode(id >>> 8, id & 0xff) + uint32(values[i + 1] ?? 0);
  }
  return frameHead(payload.length, FRAME.settings, 0, 0) + payload;
}

export const SETTINGS_ACK: string = frameHead(0, FRAME.settings, FLAG.ack, 0);

/** `opaque`: 8 octets. */
export function pingFrame(opaque: string, ack: boolean): string {
  return frameHead(8, FRAME.ping, ack ? FLAG.ack : 0, 0) + opaque;
}

export function goawayFrame(lastStream: number, code: Code): string {
  return frameHead(8, FRAME.goaway, 0, 0) + uint32(lastStream) + uint32(code);
}

export function rstStreamFrame(stream: number, code: Code): string {
  return frameHead(4, FRAME.rstStream, 0, stream) + uint32(code);
}

/** `stream` 0: of the connection. */
export function windowUpdateFrame(stream: number, increment: number): string {
  return frameHead(4, FRAME.windowUpdate, 0, stream) + uint32(increment);
}
