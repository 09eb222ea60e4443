// How what a connection has to write is cut: little goes out together, much in slices, longer ones to who takes them quickly.
import assert from 'node:assert/strict';
import { Duplex } from 'node:stream';
import { test } from 'node:test';
import { LONG_SLICE_BYTES, Outbox } from '../../../../edge-node/io/http1/outbox.ts';
import { settled } from './harness.ts';

const KIB = 1024;

/** Takes writes when it is told to, or at once. */
class Socket extends Duplex {
  /** Bytes of each write, in KiB where they are whole ones. */
  readonly writes: (number | string)[] = [];
  /** Octets that were taken. */
  received = '';
  #take: (() => void) | undefined;
  slow = false;

  constructor() {
    super({ writableHighWaterMark: 16 * KIB });
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this._writev([{ chunk }], done);
  }

  override _writev(chunks: { chunk: Buffer }[], done: () => void): void {
    const bytes = chunks.reduce((sum, { chunk }) => sum + chunk.length, 0);
    this.writes.push(bytes % KIB === 0 ? `${bytes / KIB} KiB` : bytes);
    this.received += chunks.map(({ chunk }) => chunk.toString('latin1')).join('');
    if (this.slow) this.#take = done;
    else done();
  }

  override _read(): void {
    // Nothing ever comes.
  }

  async taken(): Promise<void> {
    this.#take?.();
    await settled();
  }
}

test('small parts leave in one write, text as octets', () => {
  const socket = new Socket();
  const outbox = new Outbox(socket);
  outbox.add('é');
  outbox.add(Buffer.from('ab'));
  outbox.add('c');
  outbox.flush();
  assert.deepEqual([socket.writes, socket.received, outbox.empty], [[4], 'éabc', true]);
});

test('a slow reader gets slices of the same size, whatever there is for him', async () => {
  const socket = new Socket();
  socket.slow = true;
  const outbox = new Outbox(socket, LONG_SLICE_BYTES);
  socket.on('drain', () => outbox.flush());
  outbox.add(Buffer.alloc(KIB * KIB));
  outbox.flush();
  for (let i = 0; i < 7; i += 1) {
    for (let halfSeconds = 0; halfSeconds < 3; halfSeconds += 1) outbox.sweep();
    await socket.taken();
  }
  assert.deepEqual(socket.writes, new Array(8).fill('128 KiB'));
});

test('a quick reader gets longer ones, up to the limit', async () => {
  for (const [limit, expected] of [
    [LONG_SLICE_BYTES, ['128 KiB', '256 KiB', '512 KiB', '512 KiB', '512 KiB', '128 KiB']],
    [undefined, new Array(16).fill('128 KiB')],
  ] as const) {
    const socket = new Socket();
    const outbox = new Outbox(socket, limit);
    socket.on('drain', () => outbox.flush());
    outbox.add(Buffer.alloc(2 * KIB * KIB));
    outbox.flush();
    for (let i = 0; i < 20; i += 1) await settled();
    assert.deepEqual(socket.writes, expected);
    assert.ok(outbox.empty);
  }
});

test('all of it arrives in order, small and large', async () => {
  const socket = new Socket();
  const outbox = new Outbox(socket, LONG_SLICE_BYTES);
  socket.on('drain', () => outbox.flush());
  let sent = '';
  for (let i = 0; i < 40; i += 1) {
    const part = String.fromCharCode(0x30 + i).repeat(i % 3 === 0 ? 100_000 * (i % 7) : i);
    sent += part;
    outbox.add(i % 2 === 0 ? part : Buffer.from(part));
    if (i % 5 === 0) outbox.flush();
  }
  outbox.flush();
  for (let i = 0; i < 40 && !outbox.empty; i += 1) await settled();
  assert.ok(socket.received === sent);
});
