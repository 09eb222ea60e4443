// Which answer goes before which: what clients say of it, the queue, and connections in memory that keep to it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CODE, FLAG, FRAME } from '../../../../edge-node/decide/http2/codes.ts';
import { type Priority, readPriority, UNSAID } from '../../../../edge-node/decide/http2/priority.ts';
import { OUT_OF_TURN, SendQueue } from '../../../../edge-node/io/http2/send-queue.ts';
import { seededRandom } from '../../../../infra/runtime/random.ts';
import { block, frame, get, SETTING, settings, uint32 } from '../../../support/http2-frames.ts';
import { below } from '../cache/support.ts';
import { comes, Harness, START, settled } from './harness.ts';

test('a priority is an urgency and whether parts are of use; what cannot be meant is as if it had not been said', () => {
  const cases: [string | undefined, number, boolean][] = [
    [undefined, 3, true],
    ['', 3, false],
    ['u=0', 0, false],
    ['u=7, i', 7, true],
    ['i, u=5, i=?0', 5, false],
    ['u=1;x=2, other="a"', 1, false],
    ['u=8, i', 3, true],
    ['u=-1', 3, false],
    ['u=1.0', 3, false],
    ['u="1", i=1', 3, false],
    ['u=1, i=', 3, false],
    ['U=1', 3, false],
    [`u=1, a=${'1'.repeat(300)}`, 3, false],
  ];
  for (const [text, urgency, incremental] of cases)
    assert.deepEqual(readPriority(text), { urgency, incremental }, String(text));
});

interface Stream {
  readonly id: number;
  priority: Priority;
  queued: boolean;
  left: number;
}

function stream(id: number, text: string | undefined, left: number): Stream {
  return { id, priority: readPriority(text), queued: false, left };
}

/** Ids in the order in which they send, a frame each; no frame of the first `OUT_OF_TURN` - 1 goes out of turn. */
function order(...streams: readonly Stream[]): string {
  const queue = new SendQueue<Stream>();
  for (const each of streams) queue.add(each);
  let sent = '';
  for (let next = queue.next(); next !== undefined; next = queue.next()) {
    sent += next.id;
    next.left -= 1;
    if (next.left > 0) queue.add(next, true);
  }
  return sent;
}

test('what is urgent goes first; of equals, parts take turns, and wholes go one after another as they came', () => {
  assert.equal(order(stream(1, undefined, 2), stream(3, undefined, 2), stream(5, undefined, 2)), '135135');
  assert.equal(order(stream(1, 'u=3', 2), stream(3, 'u=3', 2), stream(5, 'u=3', 2)), '113355');
  assert.equal(
    order(stream(1, 'u=5, i', 2), stream(3, 'u=1', 2), stream(5, 'u=5, i', 2), stream(7, 'u=0', 1)),
    '7331515',
  );
  assert.equal(order(stream(1, 'u=3', 3), stream(3, 'u=3, i', 2)), '11133');
});

test('one frame in sixteen goes out of turn, so that every stream gets on, whatever the others have', () => {
  const random = seededRandom(9218);
  for (let round = 0; round < 20; round += 1) {
    const queue = new SendQueue<Stream>();
    const streams = Array.from({ length: 2 + below(random, 6) }, (_, i) => {
      const text = random.next() < 0.2 ? undefined : `u=${below(random, 8)}${random.next() < 0.5 ? ', i' : ''}`;
      return stream(i, text, Number.POSITIVE_INFINITY);
    });
    for (const each of streams) queue.add(each);
    const sent = new Map<Stream, number>();
    for (let i = 0; i < 100 * OUT_OF_TURN; i += 1) {
      const next = queue.next();
      assert.ok(next && !next.queued);
      sent.set(next, (sent.get(next) ?? 0) + 1);
      queue.add(next, true);
    }
    assert.equal(sent.size, streams.length, JSON.stringify(streams.map(({ priority }) => priority)));
  }
});

test('a stream whose priority changes is found once, in its new place', () => {
  const queue = new SendQueue<Stream>();
  const [one, two, gone] = [stream(1, 'u=3', 1), stream(3, 'u=3', 1), stream(5, 'u=3', 1)];
  for (const each of [one, two]) queue.add(each);
  two.priority = readPriority('u=1');
  queue.move(two);
  queue.move(gone);
  assert.deepEqual([queue.next()?.id, queue.next()?.id, queue.next()], [3, 1, undefined]);
  queue.add(one);
  queue.clear();
  assert.ok(queue.empty);
});

function ask(id: number, ...fields: readonly string[]): Buffer {
  return frame(FRAME.headers, FLAG.endHeaders | FLAG.endStream, id, block(get('/', fields)));
}

const update = (id: number, text: string, on = 0): Buffer =>
  frame(FRAME.priorityUpdate, 0, on, Buffer.concat([uint32(id), Buffer.from(text)]));

/** Streams in the order of their DATA frames, from the `from`th frame on. */
function dataOf(harness: Harness, from = 0): number[] {
  return harness.received.slice(from).flatMap(({ type, stream: id }) => (type === FRAME.data ? [id] : []));
}

/** Answers with three frames each, for which the window of the connection is not there yet. */
async function waiting(...requests: readonly Buffer[]): Promise<Harness> {
  const harness = new Harness((client) => client.answer(200, [], Buffer.alloc(40_000, 'x'), 40_000)).listen();
  harness.send(
    START,
    settings({ [SETTING.initialWindowSize]: 100_000 }),
    ask(1, 'priority', 'u=0'),
    ask(3, 'priority', 'u=0'),
  );
  await comes(() => dataOf(harness).length >= 4);
  harness.send(...requests);
  await settled();
  return harness;
}

test('answers go out as their requests and PRIORITY_UPDATE have it', async () => {
  const harness = await waiting(ask(5, 'priority', 'u=6'), ask(7, 'priority', 'u=2'), ask(9, 'priority', 'u=4'));
  harness.send(update(5, 'u=1'), update(99, 'u=1'), update(9, 'no priority ('));
  await settled();
  const from = harness.received.length;
  harness.send(frame(FRAME.windowUpdate, 0, 0, uint32(1_000_000)));
  await comes(() => harness.streams().get(9)?.endsWith('\nend') === true);
  const order = dataOf(harness, from).filter((id) => id > 3);
  assert.deepEqual([...new Set(order)], [5, 7, 9]);
  assert.equal(order.join('').replace(/(.)\1*/g, '$1'), '579');
  assert.deepEqual(harness.refused, []);
});

test('the first settings say that the priorities of RFC 7540 are not followed', async () => {
  const harness = new Harness(() => undefined).listen();
  await settled();
  assert.match(harness.received[0]?.payload.toString('hex') ?? '', /^(?:.{12})*000900000001/);
  assert.equal(UNSAID.urgency, 3);
});

test('a PRIORITY_UPDATE that may not be ends the connection, and too many do', async () => {
  for (const [octets, code] of [
    [update(1, 'u=1', 1), CODE.protocolError],
    [update(0, 'u=1'), CODE.protocolError],
    [update(2, 'u=1'), CODE.protocolError],
    [frame(FRAME.priorityUpdate, 0, 0, Buffer.alloc(3)), CODE.frameSizeError],
    [Buffer.concat(Array.from({ length: 1_001 }, () => update(1, 'u=1'))), CODE.enhanceYourCalm],
  ] as const) {
    const harness = new Harness(() => undefined).listen();
    harness.send(START, ask(1), octets);
    await comes(() => harness.ended);
    const goaway = harness.received.find(({ type }) => type === FRAME.goaway);
    assert.equal(goaway?.payload.readUInt32BE(4), code);
  }
});
