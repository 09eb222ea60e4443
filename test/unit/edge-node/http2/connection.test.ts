// Connections in memory: what goes out in which order, flow control, how a connection takes its leave; and seeded chance: requests cut
// anywhere, handlers that answer now or later, octets that make no sense.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PreparedAnswer } from '../../../../edge-node/decide/cache/prepared.ts';
import { CODE, FLAG, FRAME } from '../../../../edge-node/decide/http2/codes.ts';
import { Http2Client } from '../../../../edge-node/io/http2/client.ts';
import type { ClientPort } from '../../../../edge-node/ports.ts';
import { seededRandom } from '../../../../infra/runtime/random.ts';
import { block, frame, get, SETTING, settings, uint32 } from '../../../support/http2-frames.ts';
import { comes, type Handler, Harness, START, settled } from './harness.ts';

const WHOLE = FLAG.endHeaders | FLAG.endStream;
const FIELDS = ['date', 'now'];

function ask(stream: number, path = '/', flags: number = WHOLE, fields: readonly string[] = [], pseudo = {}): Buffer {
  return frame(FRAME.headers, flags, stream, block(get(path, fields, pseudo)));
}

function post(stream: number, path = '/', fields: readonly string[] = []): Buffer {
  return ask(stream, path, FLAG.endHeaders, fields, { ':method': 'POST' });
}

function data(stream: number, text: string, end = true): Buffer {
  return frame(FRAME.data, end ? FLAG.endStream : 0, stream, Buffer.from(text, 'latin1'));
}

const windowUpdate = (stream: number, increment: number): Buffer =>
  frame(FRAME.windowUpdate, 0, stream, uint32(increment));

/** Answers at once with `size` bytes. */
function sized(size: number): Handler {
  return (client) => client.answer(200, FIELDS, Buffer.alloc(size, 'x'), size);
}

function bytesOf(harness: Harness, stream: number): number {
  return harness.received.reduce((sum, { type, stream: id, payload }) => {
    return type === FRAME.data && id === stream ? sum + payload.length : sum;
  }, 0);
}

function kinds(harness: Harness, from = 0): string[] {
  return harness.received.slice(from).map(({ type, stream }) => `${type} ${stream}`);
}

test('the settings come first; requests of one read are answered in one write, each with head and body', async () => {
  const harness = new Harness(sized(5)).listen();
  harness.send(START, ask(1), ask(3), ask(5));
  await settled();
  assert.deepEqual(kinds(harness), ['4 0', '8 0', '4 0', '1 1', '0 1', '1 3', '0 3', '1 5', '0 5']);
  // Settings, and the rest.
  assert.equal(harness.pieces.length, 2);
  assert.equal(harness.streams().get(5), ':status|200|date|now|content-length|5\nxxxxx\nend');
});

test('a body goes as far as the windows of its stream and of the connection allow', async () => {
  const harness = new Harness(sized(200_000)).listen();
  harness.send(START, settings({ [SETTING.initialWindowSize]: 30_000 }), ask(1), ask(3), ask(5));
  await settled();
  // 65,535 for all, one frame of each in turn.
  assert.deepEqual(
    [1, 3, 5].map((id) => bytesOf(harness, id)),
    [30_000, 19_151, 16_384],
  );
  harness.send(windowUpdate(0, 1_000_000));
  await settled();
  assert.deepEqual(
    [1, 3, 5].map((id) => bytesOf(harness, id)),
    [30_000, 30_000, 30_000],
  );
  // A smaller window takes back what was not used, even beyond nothing.
  harness.send(settings({ [SETTING.initialWindowSize]: 10_000 }), windowUpdate(3, 20_001));
  await settled();
  assert.deepEqual(
    [1, 3, 5].map((id) => bytesOf(harness, id)),
    [30_000, 30_001, 30_000],
  );
  harness.send(settings({ [SETTING.initialWindowSize]: 200_000 }));
  await comes(() => [1, 3, 5].every((id) => bytesOf(harness, id) === 200_000));
  assert.deepEqual(
    [1, 3, 5].map((id) => bytesOf(harness, id)),
    [200_000, 200_000, 200_000],
  );
  assert.ok([...harness.streams().values()].every((text) => text.endsWith('\nend')));
});

test('a window above 2^31-1 ends the stream, or the connection if it is that of all', async () => {
  const harness = new Harness(sized(100_000)).listen();
  harness.send(START, ask(1), windowUpdate(1, 0x7fff_ffff));
  await settled();
  assert.match(harness.streams().get(1) ?? '', /reset 3$/);
  harness.send(windowUpdate(0, 0x7fff_ffff));
  await settled();
  assert.equal(harness.received.at(-1)?.payload.readUInt32BE(4), CODE.flowControlError);
  assert.ok(harness.ended);
});

test('a handler is told when to wait and when to go on, never within the call of another', async () => {
  let one: ClientPort | undefined;
  let calling = false;
  let drained = 0;
  const harness = new Harness((client) => {
    client.begin(200, FIELDS, undefined);
    calling = true;
    const goOn = client.write(Buffer.alloc(one ? 10 : 65_535));
    calling = false;
    assert.equal(goOn, true);
    one ??= client;
  }).listen();
  harness.send(START, settings({ [SETTING.initialWindowSize]: 1_000_000 }));
  await settled();
  harness.send(ask(1));
  await settled();
  assert.ok(one);
  one.onDrain = () => {
    assert.equal(calling, false);
    drained += 1;
  };
  assert.equal(one.write(Buffer.alloc(50)), false);
  await settled();
  assert.equal(drained, 0);
  // What stream 3 sends takes along what waits of stream 1.
  harness.send(windowUpdate(0, 1_000), ask(3));
  await settled();
  assert.deepEqual([drained, bytesOf(harness, 1), bytesOf(harness, 3)], [1, 65_585, 10]);
  one.end();
  await settled();
  assert.match(harness.streams().get(1) ?? '', /\nend$/);
});

test('a body is taken as it is asked for, and the client may send more only then', async () => {
  let client: ClientPort | undefined;
  const harness = new Harness((asked) => {
    client = asked;
  }).listen();
  const opened = () =>
    kinds(harness)
      .filter((kind) => kind.startsWith('8 '))
      .slice(1);
  harness.send(START, post(1));
  for (let i = 0; i < 8; i += 1) harness.send(data(1, 'x'.repeat(16_000), false));
  await settled();
  assert.deepEqual(opened(), []);
  const chunks = client?.body?.chunks()[Symbol.asyncIterator]();
  assert.equal((await chunks?.next())?.value.length, 128_000);
  await settled();
  assert.deepEqual(opened(), ['8 1']);
  for (let i = 0; i < 8; i += 1) harness.send(data(1, 'x'.repeat(16_000), false));
  await settled();
  assert.deepEqual(harness.refused, []);
  // 131,072 at a time, and not one more.
  harness.send(data(1, 'x'.repeat(3_073), false));
  await settled();
  assert.match(harness.streams().get(1) ?? '', /reset 3$/);
  await assert.rejects(async () => chunks?.next(), /reset/);
});

test('bodies together get no more than the window of the connection', async () => {
  const harness = new Harness(() => undefined, { connectionWindowBytes: 100_000 }).listen();
  harness.send(START, post(1), post(3));
  for (let i = 0; i < 6; i += 1) harness.send(data(1 + 2 * (i % 2), 'x'.repeat(16_000), false));
  await settled();
  assert.equal(harness.ended, false);
  harness.send(data(1, 'x'.repeat(4_001), false));
  await settled();
  assert.deepEqual(harness.refused, ['http2-session: more data than the window of the connection allows']);
});

test('what is thrown away does not use up the window of the connection', async () => {
  const harness = new Harness(sized(1), { connectionWindowBytes: 100_000 }).listen();
  harness.send(START);
  for (let stream = 1; stream < 100; stream += 2) harness.send(post(stream), data(stream, 'x'.repeat(16_000)));
  await settled();
  assert.equal(harness.ended, false, harness.refused.join());
  assert.match(harness.streams().get(99) ?? '', /x\nend\nreset 0$/);
});

test('frames on streams that are over: ignored if we reset them, else a stream error', async () => {
  const harness = new Harness((client) => client.request.target === '/' && sized(1)(client)).listen();
  // Answered before its end: what still comes is ignored, trailers as well.
  harness.send(START, post(1), data(1, 'late', false), frame(FRAME.headers, WHOLE, 1, block(['x', '1'])));
  // Answered and complete.
  harness.send(ask(3), data(3, 'x'), ask(5, '/hold'), data(5, 'x'), windowUpdate(3, 1));
  await settled();
  const ends = [1, 3, 5].map((id) => /(?:\n(?:end|reset \d))*$/.exec(harness.streams().get(id) ?? '')?.[0]);
  assert.deepEqual(ends, ['\nend\nreset 0', '\nend\nreset 5', '\nreset 5']);
});

test('a connection retires in two steps: requests on their way are answered, later ones refused', async () => {
  const held: ClientPort[] = [];
  const harness = new Harness((client) => held.push(client)).listen();
  harness.send(START, ask(1));
  await settled();
  harness.connection.retire();
  harness.send(ask(3));
  await settled();
  const ping = harness.received.at(-1) ?? assert.fail();
  assert.deepEqual(kinds(harness).slice(-2), ['7 0', '6 0']);
  assert.equal(harness.received.at(-2)?.payload.readUInt32BE(0), 0x7fff_ffff);
  harness.send(frame(FRAME.ping, FLAG.ack, 0, ping.payload), ask(5));
  await settled();
  assert.deepEqual([held.length, kinds(harness).slice(-2)], [2, ['7 0', '3 5']]);
  const last = harness.received.at(-2)?.payload;
  assert.deepEqual([last?.readUInt32BE(0), last?.readUInt32BE(4)], [3, CODE.noError]);
  for (const client of held) sized(2)(client);
  await settled();
  assert.ok(harness.ended);
  assert.deepEqual(harness.refused, []);
  harness.client.end();
  await settled();
  assert.equal(harness.shared.connections.size, 0);
});

test('a client that says nothing to GOAWAY, or never closes, is not waited for', async () => {
  const harness = new Harness(sized(1), { lingerMs: 1_000, idleMs: 5_000 }).listen();
  harness.send(START, ask(1));
  await settled();
  harness.clock.advance(7_000);
  await settled();
  assert.deepEqual(kinds(harness).slice(-3), ['7 0', '6 0', '7 0']);
  assert.ok(harness.ended);
  harness.clock.advance(2_000);
  assert.deepEqual([harness.shared.connections.size, harness.server.destroyed], [0, true]);
});

test('a client that takes its leave is answered first', async () => {
  const held: ClientPort[] = [];
  const harness = new Harness((client) => held.push(client)).listen();
  harness.send(START, ask(1), frame(FRAME.goaway, 0, 0, Buffer.alloc(8)));
  await settled();
  assert.equal(harness.ended, false);
  for (const client of held) sized(1)(client);
  await settled();
  assert.match(harness.streams().get(1) ?? '', /x\nend$/);
  assert.ok(harness.ended);
});

test('while a client takes nothing, no more of its requests are read than its answers have room', async () => {
  let asked = 0;
  const fields = [...FIELDS, 'x-long', 'v'.repeat(8_000)];
  const harness = new Harness((client) => {
    asked += 1;
    client.answer(200, fields, undefined, undefined);
  });
  harness.send(START);
  for (let stream = 1; stream < 1_000; stream += 20)
    harness.send(...Array.from({ length: 10 }, (_, i) => ask(stream + 2 * i)));
  await settled();
  assert.ok(asked > 10 && asked < 100, `${asked} requests`);
  harness.listen();
  await comes(() => asked === 500);
  assert.equal(asked, 500);
});

test('a prepared answer is encoded once, and is the same for all who get it', async () => {
  const prepared = new PreparedAnswer(200, FIELDS, Buffer.from('x'), 1, true);
  const harness = new Harness((client) => {
    assert.ok(client instanceof Http2Client);
    client.answerPrepared(prepared);
    const { block: made } = prepared;
    client.answerPrepared({ ...prepared, body: Buffer.from('once only') });
    assert.equal(prepared.block, made);
  }).listen();
  harness.send(START, ask(1), ask(3), ask(5, '/', WHOLE, [], { ':method': 'HEAD' }));
  await settled();
  const head = ':status|200|date|now|content-length|1\n';
  assert.deepEqual([...harness.streams().values()], [`${head}x\nend`, `${head}x\nend`, `${head}\nend`]);
});

test('answers that together outgrow a buffer are all there, in order', async () => {
  const fields = [...FIELDS, 'x-long', 'v'.repeat(40_000)];
  const body = Buffer.alloc(10_000, 'b');
  const harness = new Harness((client) => client.answer(200, fields, body, undefined)).listen();
  harness.send(START, windowUpdate(0, 1_000_000), ...[1, 3, 5, 7, 9, 11].map((id) => ask(id)));
  await comes(() => bytesOf(harness, 11) === body.length);
  const ids = harness.received
    .filter(({ type, flags }) => type === FRAME.data && flags === 1)
    .map(({ stream }) => stream);
  assert.deepEqual(ids, [1, 3, 5, 7, 9, 11]);
  assert.ok([1, 3, 5, 7, 9, 11].every((id) => bytesOf(harness, id) === body.length));
});

/** Answers in one of several ways, by the target. */
async function serve(client: ClientPort): Promise<void> {
  const [, way = 0, long = 0] = client.request.target.split('/').map(Number);
  const fields = long === 0 ? FIELDS : [...FIELDS, 'x-long', 'v'.repeat(long)];
  let sent = client.request.target;
  try {
    for await (const chunk of client.body?.chunks() ?? []) sent += Buffer.from(chunk).toString('latin1');
  } catch {
    client.abort();
    return;
  }
  const body = Buffer.from(sent, 'latin1');
  if (way % 2 === 1) await new Promise((resolve) => setImmediate(resolve));
  if (way < 2) {
    client.answer(200, fields, body, body.length);
    return;
  }
  client.begin(200, fields, undefined);
  const goOn = Promise.withResolvers<void>();
  client.onDrain = () => goOn.resolve();
  if (!client.write(body.subarray(0, body.length >> 1))) await goOn.promise;
  client.write(body.subarray(body.length >> 1));
  client.end();
}

/** Requests of `count` streams, in frames that are mixed up, with what is to come back on each. */
function conversation(random: () => number, count: number): { octets: Buffer; expected: Map<number, string> } {
  const queues: Buffer[][] = [];
  const expected = new Map<number, string>();
  for (let i = 0; i < count; i += 1) {
    const stream = 2 * i + 1;
    const long = random() < 0.8 ? 0 : Math.floor(random() * 30_000);
    const path = `/${Math.floor(random() * 4)}/${long}/${'p'.repeat(random() * 30)}`;
    const pieces =
      random() < 0.5 ? [] : Array.from({ length: 1 + random() * 4 }, () => 'd'.repeat(random() ** 3 * 16_000));
    const whole = path + pieces.join('');
    const length = Number(path[1]) < 2 ? `|content-length|${whole.length}` : '';
    const more = long === 0 ? '' : `|x-long|${'v'.repeat(long)}`;
    expected.set(stream, `:status|200|date|now${more}${length}\n${whole}\nend`);
    const said = random() < 0.5 ? [] : ['priority', `u=${Math.floor(random() * 9)}${random() < 0.5 ? ', i' : ''}`];
    queues.push([
      pieces.length === 0 ? ask(stream, path, WHOLE, said) : post(stream, path, said),
      ...pieces.map((piece, at) => data(stream, piece, at === pieces.length - 1)),
    ]);
  }
  const parts = [START, windowUpdate(0, 10_000_000), settings({ [SETTING.initialWindowSize]: 1_000_000 })];
  // Heads in the order of their ids, the rest in any.
  let open = 0;
  while (queues.some((queue) => queue.length > 0)) {
    const at = Math.floor(random() * (open + 1));
    if (at === open && open < count) open += 1;
    const next = queues[Math.min(at, count - 1)]?.shift();
    if (next) parts.push(next);
    if (random() < 0.1) parts.push(frame(FRAME.ping, 0, 0, Buffer.alloc(8)));
    const update = Buffer.concat([uint32(2 * Math.floor(random() * count) + 1), Buffer.from(`u=${open % 8}`)]);
    if (random() < 0.1) parts.push(frame(FRAME.priorityUpdate, 0, 0, update));
  }
  return { octets: Buffer.concat(parts), expected };
}

test('whatever the cuts and the handlers, each request gets its own answer', async () => {
  const random = seededRandom(21);
  for (let round = 0; round < 60; round += 1) {
    const { octets, expected } = conversation(() => random.next(), 1 + Math.floor(random.next() * 12));
    const harness = new Harness((client) => void serve(client)).listen();
    for (let at = 0; at < octets.length; ) {
      const size = 1 + Math.floor(random.next() ** 6 * 30_000);
      harness.send(octets.subarray(at, at + size));
      at += size;
      if (random.next() < 0.1) await settled();
    }
    const isOver = () =>
      [...harness.streams().values()].filter((text) => text.endsWith('end')).length === expected.size;
    await comes(isOver);
    assert.deepEqual(
      [new Map([...harness.streams()].sort()), harness.refused],
      [new Map([...expected].sort()), []],
      `${round}`,
    );
    harness.client.destroy();
    harness.server.destroy();
  }
});

test('whatever the octets, a connection answers or ends, and leaves no exchange behind', async () => {
  const random = seededRandom(22);
  for (let round = 0; round < 300; round += 1) {
    let open = 0;
    const harness = new Harness((client) => {
      open += 1;
      client.onGone = () => {
        open -= 1;
      };
      if (random.next() < 0.5) return;
      open -= 1;
      client.answer(200, FIELDS, Buffer.alloc(random.next() * 100_000), undefined);
    }).listen();
    const { octets } = conversation(() => random.next(), 4);
    const mutated = Buffer.from(octets);
    for (let i = 0; i < 1 + round / 30; i += 1)
      mutated[START.length + Math.floor(random.next() * (mutated.length - START.length))] = random.next() * 256;
    harness.send(mutated);
    await settled();
    harness.client.destroy();
    harness.server.destroy();
    await settled();
    assert.deepEqual([open, harness.shared.connections.size], [0, 0], `round ${round}`);
    harness.shared.stop();
  }
});
