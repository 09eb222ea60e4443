// Frames: read as they came whatever the cuts, refused where their head is wrong; written as they are read. Settings, windows, heads
// in parts, and what a frame means by the state of its stream.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CODE, ConnectionError, FLAG, FRAME } from '../../../../edge-node/decide/http2/codes.ts';
import { ReceiveWindow, widened } from '../../../../edge-node/decide/http2/flow.ts';
import { FrameReader, PREFACE, uint31 } from '../../../../edge-node/decide/http2/frame-reader.ts';
import {
  frameHead,
  goawayFrame,
  headersFrames,
  pingFrame,
  putFrameHead,
  rstStreamFrame,
  settingsFrame,
  windowUpdateFrame,
} from '../../../../edge-node/decide/http2/frame-writer.ts';
import { HeadFragments } from '../../../../edge-node/decide/http2/head-fragments.ts';
import { readSettings } from '../../../../edge-node/decide/http2/peer-settings.ts';
import { judgeFrame, type StreamState } from '../../../../edge-node/decide/http2/stream-state.ts';
import { seededRandom } from '../../../../infra/runtime/random.ts';

const START = PREFACE + settingsFrame([]);

function octets(text: string): Buffer {
  return Buffer.from(text, 'latin1');
}

/** Each frame that `reader` has, as text. */
function* frames(reader: FrameReader): Generator<string> {
  while (reader.next()) {
    const { type, flags, stream, length, window, start, stop } = reader;
    yield `${type} ${flags} ${stream} ${length} ${window.toString('latin1', start, stop)}`;
  }
}

/** All frames of `text`, after preface and SETTINGS, in chunks of the sizes that `size` says. */
function read(text: string, size: () => number = () => Number.MAX_SAFE_INTEGER): string[] {
  const reader = new FrameReader();
  const all = octets(START + text);
  const found: string[] = [];
  // As a connection does: into a buffer that is used again for each chunk.
  const shared = Buffer.alloc(all.length);
  for (let at = 0; at < all.length; ) {
    const chunk = all.subarray(at, at + size());
    shared.fill(0).set(chunk);
    reader.feed(shared.subarray(0, chunk.length));
    found.push(...frames(reader));
    reader.settle();
    at += chunk.length;
  }
  return found.slice(1);
}

function assertRefused(text: string, code: number, start = START): void {
  const reader = new FrameReader();
  reader.feed(octets(start + text));
  assert.throws(
    () => [...frames(reader)],
    (error) => error instanceof ConnectionError && error.code === code,
    text,
  );
}

const MIXED = [
  pingFrame('12345678', false),
  windowUpdateFrame(0, 0x7fff_ffff),
  `${frameHead(5, FRAME.data, FLAG.endStream, 3)}hello`,
  `${frameHead(9, FRAME.data, FLAG.padded, 3)}\x03hello\0\0\0`,
  `${frameHead(9, FRAME.headers, FLAG.priority, 0x7fff_ffff)}\x80\0\0\x01\x10head`,
  `${frameHead(10, FRAME.headers, FLAG.priority | FLAG.padded, 5)}\x02\0\0\0\x01\x10hi\0\0`,
  rstStreamFrame(7, CODE.cancel),
  goawayFrame(7, CODE.noError),
  `${frameHead(3, 0x77, 0xff, 9)}???`,
  frameHead(0, FRAME.data, 0, 1),
  `${frameHead(16_384, FRAME.data, 0, 1)}${'x'.repeat(16_384)}`,
].join('');

test('frames are read with their payload, without padding and priority', () => {
  assert.deepEqual(read(MIXED).slice(0, 9), [
    '6 0 0 8 12345678',
    '8 0 0 4 \x7f\xff\xff\xff',
    '0 1 3 5 hello',
    '0 8 3 9 hello',
    '1 32 2147483647 9 head',
    '1 40 5 10 hi',
    '3 0 7 4 \0\0\0\x08',
    '7 0 0 8 \0\0\0\x07\0\0\0\0',
    '119 255 9 3 ???',
  ]);
});

test('the cuts between chunks do not matter', () => {
  const whole = read(MIXED);
  const random = seededRandom(1);
  assert.deepEqual(
    read(MIXED.slice(0, -16_000), () => 1),
    read(MIXED.slice(0, -16_000)),
  );
  for (let round = 0; round < 100; round += 1)
    assert.deepEqual(
      read(MIXED, () => 1 + Math.floor(random.next() ** 4 * 9_000)),
      whole,
    );
});

test('whoever does not begin as HTTP/2 does is refused at the first octet that is wrong', () => {
  for (const text of ['GET / HTTP/1.1\r\n', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\rX', '\x16'])
    assertRefused(text, CODE.protocolError, '');
  const reader = new FrameReader();
  reader.feed(octets(PREFACE.slice(0, 20)));
  assert.equal(reader.next(), false);
  assertRefused(pingFrame('12345678', false), CODE.protocolError, PREFACE);
  assertRefused(frameHead(0, FRAME.settings, FLAG.ack, 0), CODE.protocolError, PREFACE);
});

test('a frame whose head is wrong is refused', () => {
  const text = (length: number, type: number, flags: number, stream: number) =>
    frameHead(length, type, flags, stream) + '\0'.repeat(length);
  for (const [length, type, flags, stream] of [
    ...[
      [16_385, FRAME.data, 0, 1],
      [4, FRAME.priority, 0, 1],
      [5, FRAME.rstStream, 0, 1],
      [7, FRAME.settings, 0, 0],
    ],
    ...[
      [6, FRAME.settings, FLAG.ack, 0],
      [9, FRAME.ping, 0, 0],
      [7, FRAME.goaway, 0, 0],
      [3, FRAME.windowUpdate, 0, 1],
    ],
    ...[
      [0, FRAME.data, FLAG.padded, 1],
      [4, FRAME.headers, FLAG.priority, 1],
    ],
  ] as const)
    assertRefused(text(length, type, flags, stream), CODE.frameSizeError);
  for (const [length, type, stream] of [
    ...[
      [1, FRAME.data, 0],
      [1, FRAME.headers, 0],
      [5, FRAME.priority, 0],
      [4, FRAME.rstStream, 0],
    ],
    ...[
      [6, FRAME.settings, 1],
      [8, FRAME.ping, 1],
      [8, FRAME.goaway, 1],
      [1, FRAME.continuation, 0],
    ],
    [4, FRAME.pushPromise, 1],
  ] as const)
    assertRefused(text(length, type, 0, stream), CODE.protocolError);
  // Padding of the length of what is left is all there may be.
  assert.deepEqual(read(`${frameHead(3, FRAME.data, FLAG.padded, 1)}\x02\0\0`), ['0 8 1 3 ']);
  assertRefused(`${frameHead(3, FRAME.data, FLAG.padded, 1)}\x03\0\0`, CODE.protocolError);
  assertRefused(
    `${frameHead(8, FRAME.headers, FLAG.padded | FLAG.priority, 1)}\x03${'\0'.repeat(7)}`,
    CODE.protocolError,
  );
});

test('whatever the octets, reading ends in frames or a ConnectionError', () => {
  const random = seededRandom(2);
  for (let round = 0; round < 2_000; round += 1) {
    const chunk = octets(START + MIXED.slice(0, -16_000));
    for (let i = 0; i < 1 + random.next() * 4; i += 1)
      chunk[Math.floor(random.next() * chunk.length)] = random.next() * 256;
    const reader = new FrameReader();
    reader.feed(chunk);
    try {
      for (const _ of frames(reader)) assert.ok(reader.start <= reader.stop && reader.stop <= reader.window.length);
    } catch (error) {
      assert.ok(error instanceof ConnectionError, String(error));
    }
  }
});

test('a frame head is the same as text and as octets', () => {
  const buffer = Buffer.alloc(11);
  putFrameHead(buffer, 1, 0xabcdef, 0x12, 0x34, 0x7654_3210);
  assert.equal(buffer.toString('latin1'), `\0${frameHead(0xabcdef, 0x12, 0x34, 0x7654_3210)}\0`);
});

test('a head too long for one frame goes on in CONTINUATION', () => {
  const block = 'h'.repeat(40_000);
  const kinds = (found: string[]) => found.map((frame) => frame.split(' ').slice(0, 4).join(' '));
  assert.deepEqual(kinds(read(headersFrames(block, 3, true))), ['1 1 3 16384', '9 0 3 16384', '9 4 3 7232']);
  assert.deepEqual(kinds(read(headersFrames('h', 3, true) + headersFrames('h', 5, false))), ['1 5 3 1', '1 4 5 1']);
});

test('a head in parts is put together, and has an end', () => {
  const fragments = new HeadFragments(100);
  fragments.begin(3, true, octets('a'));
  for (let i = 0; i < 8; i += 1) fragments.add(octets('b'));
  assert.deepEqual([fragments.stream, fragments.end().toString(), fragments.stream], [3, 'abbbbbbbb', 0]);
  const calm = (error: unknown) => error instanceof ConnectionError && error.code === CODE.enhanceYourCalm;
  fragments.begin(5, false, octets('a'));
  for (let i = 0; i < 8; i += 1) fragments.add(octets(''));
  assert.throws(() => fragments.add(octets('')), calm);
  fragments.begin(7, false, octets('a'.repeat(60)));
  assert.throws(() => fragments.add(octets('a'.repeat(60))), calm);
});

test('settings: the last window counts; values that may not be end the connection', () => {
  const settings = (...values: number[]): number | undefined => {
    const payload = octets(settingsFrame(values).slice(9));
    return readSettings(payload, 0, payload.length);
  };
  assert.deepEqual([settings(), settings(1, 0, 3, 0, 6, 1, 99, 5), settings(4, 7, 4, 0)], [undefined, undefined, 0]);
  assert.deepEqual(
    [settings(4, 0x7fff_ffff), settings(5, 16_384), settings(2, 1)],
    [0x7fff_ffff, undefined, undefined],
  );
  for (const [values, code] of [
    [[4, 0x8000_0000], CODE.flowControlError],
    [[2, 2], CODE.protocolError],
    [[5, 16_383], CODE.protocolError],
    [[5, 0x100_0000], CODE.protocolError],
    [new Array(66).fill(1), CODE.enhanceYourCalm],
  ] as const)
    assert.throws(
      () => settings(...values),
      (error) => error instanceof ConnectionError && error.code === code,
    );
});

test('a window opens by what was consumed, half a window at a time, and no further than a window can', () => {
  const window = new ReceiveWindow(100);
  assert.deepEqual([window.receive(60), window.consume(49), window.consume(1), window.consume(10)], [true, 0, 50, 0]);
  assert.deepEqual([window.receive(90), window.receive(0), window.receive(1)], [true, true, false]);
  assert.deepEqual([widened(1, 0x7fff_fffe), widened(2, 0x7fff_fffe), widened(10, -30)], [0x7fff_ffff, undefined, -20]);
  assert.equal(uint31(octets('\xff\xff\xff\xfe'), 0), 0x7fff_fffe);
});

test('what a frame means by the state of its stream', () => {
  const states: StreamState[] = ['idle', 'open', 'half-closed', 'closed', 'dropped'];
  const table = (['data', 'headers', 'rstStream', 'windowUpdate'] as const).map((type) =>
    states.map((state) => judgeFrame(FRAME[type], state)),
  );
  assert.deepEqual(table, [
    ['protocol-error', 'take', 'stream-closed', 'stream-closed', 'ignore'],
    ['take', 'take', 'stream-closed', 'stream-closed', 'ignore'],
    ['protocol-error', 'take', 'take', 'ignore', 'ignore'],
    ['protocol-error', 'take', 'take', 'ignore', 'ignore'],
  ]);
});
