// Which connection a request gets, how long it waits for one, and what becomes of connections that nobody needs.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type FakeSocket, Harness, HELLO, OK, type Sent, settled } from './harness.ts';

/** A harness with one connection that stands idle. */
function idle(limits: ConstructorParameters<typeof Harness>[0] = {}): Harness {
  const harness = new Harness(limits);
  harness.send();
  harness.socket.connect().read(OK);
  return harness;
}

const events = (sent: readonly Sent[]) => sent.map(({ recorder }) => recorder.events.join(' '));

test('one connection serves one request after another, and is read from again after each', async () => {
  const harness = idle();
  for (let i = 0; i < 3; i += 1) {
    const { recorder } = harness.send();
    harness.socket.read(HELLO);
    assert.deepEqual([recorder.events, recorder.body], [['200', 'end'], 'hello']);
  }
  assert.equal(harness.sockets.length, 1);
});

test('a request is never sent on a connection whose last answer is not complete', () => {
  const harness = idle();
  harness.send();
  harness.send();
  const [first, second] = harness.sockets;
  assert.equal(first?.written.split('GET').length, 3);
  assert.equal(second?.written, '');
});

test('whichever connection is ready first takes the request that has waited longest', () => {
  const harness = new Harness();
  const sent = [harness.send({ target: '/1' }), harness.send({ target: '/2' })];
  const [first, second] = harness.sockets;
  assert.ok(first && second);
  second.connect();
  assert.match(second.written, /^GET \/1 /);
  second.read(OK);
  assert.match(second.written, /GET \/2 /, 'a free connection is not held up by one that is still to come');
  second.read(OK);
  assert.deepEqual(events(sent), ['200 end', '200 end']);
  first.connect();
  harness.send({ target: '/3' });
  assert.match(first.written, /^GET \/3 /, 'what has come about in the meantime is used next');
});

test('the connection used last is used first, so that what the load does not need can close', () => {
  const harness = new Harness();
  for (let i = 0; i < 3; i += 1) harness.send();
  for (const socket of harness.sockets) socket.connect();
  for (const socket of harness.sockets) socket.read(OK);
  for (let i = 0; i < 2; i += 1) {
    harness.send();
    harness.socket.read(OK);
  }
  assert.deepEqual(
    harness.sockets.map(({ written }) => written.split('GET').length - 1),
    [1, 1, 3],
  );
});

test('connections are bounded, and more requests than may wait are refused', async () => {
  const harness = new Harness({ connections: 2, waiting: 1 });
  const sent = [1, 2, 3, 4].map((i) => harness.send({ target: `/${i}` }));
  assert.deepEqual(sent[3]?.recorder.events, [], 'nothing is told from inside `send`');
  await settled();
  assert.deepEqual(events(sent), ['', '', '', 'connect origin-busy']);
  assert.equal(harness.sockets.length, 2);
  for (const socket of harness.sockets) socket.connect();
  for (const socket of harness.sockets) socket.read(OK);
  assert.match(harness.sockets[0]?.written ?? '', /GET \/3 /);
});

test('a request that is aborted while it waits makes room for another, and is never sent', async () => {
  const harness = new Harness({ connections: 1, waiting: 1 });
  harness.send();
  const second = harness.send({ target: '/aborted' });
  second.call.abort();
  const third = harness.send({ target: '/third' });
  harness.socket.connect().read(OK);
  assert.match(harness.socket.written, /GET \/third /);
  harness.socket.read(OK);
  await settled();
  assert.deepEqual(events([second, third]), ['', '200 end']);
  assert.doesNotMatch(harness.socket.written, /aborted/);
});

test('a request does not wait for longer than it may take to connect', async () => {
  const harness = new Harness({ connections: 1 });
  harness.send();
  harness.socket.connect();
  const waiting = harness.send();
  harness.clock.advance(900);
  await settled();
  assert.deepEqual(waiting.recorder.events, []);
  harness.clock.advance(200);
  await settled();
  assert.deepEqual(waiting.recorder.events, ['connect origin-busy']);
  assert.match(waiting.recorder.failure?.detail ?? '', /became free in time/);
});

test('a connection that does not come about fails the request that has waited longest, and no other', async () => {
  const harness = new Harness();
  const sent = [harness.send(), harness.send()];
  harness.sockets[1]?.lose(Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' }));
  await settled();
  assert.deepEqual(events(sent), ['connect origin-unreachable', '']);
  harness.sockets[0]?.connect().read(OK);
  assert.equal(events(sent)[1], '200 end');
});

test('when connections fail, others are opened for those that still wait', async () => {
  const harness = new Harness({ connections: 1 });
  const sent = [harness.send(), harness.send()];
  harness.socket.lose(new Error('refused'));
  assert.equal(harness.sockets.length, 2);
  harness.socket.connect().read(OK);
  await settled();
  assert.deepEqual(events(sent), ['connect origin-unreachable', '200 end']);
});

test('a connection that takes too long is given up', async () => {
  const harness = new Harness();
  const { recorder } = harness.send();
  harness.clock.advance(1_100);
  await settled();
  assert.equal(recorder.events.length, 1);
  assert.match(recorder.events[0] ?? '', /^connect origin-(timeout|busy)$/);
  assert.equal(harness.open, 0);
});

test('idle connections are few, and close after a while', () => {
  const harness = new Harness({ idle: 1, idleMs: 5_000 });
  for (let i = 0; i < 3; i += 1) harness.send();
  for (const socket of harness.sockets) socket.connect();
  for (const socket of harness.sockets) socket.read(OK);
  assert.equal(harness.open, 1);
  harness.clock.advance(4_900);
  assert.equal(harness.open, 1);
  harness.clock.advance(200);
  assert.equal(harness.open, 0);
});

test('a connection is given up a second before the origin would, where it says when', () => {
  const harness = new Harness();
  harness.send();
  harness.socket.connect().read('HTTP/1.1 200 OK\r\nKeep-Alive: timeout=3\r\nContent-Length: 0\r\n\r\n');
  harness.clock.advance(1_900);
  assert.equal(harness.open, 1);
  harness.clock.advance(200);
  assert.equal(harness.open, 0);
  harness.send();
  harness.socket.connect().read('HTTP/1.1 200 OK\r\nKeep-Alive: timeout=1\r\nContent-Length: 0\r\n\r\n');
  assert.equal(harness.open, 0, 'there is no time in which it could be used again');
});

test('an origin that closes an idle connection, or speaks on it unasked, loses it and nothing else', () => {
  const ends: ((socket: FakeSocket) => void)[] = [
    (socket) => socket.finish(),
    (socket) => socket.lose(new Error('reset')),
    (socket) => socket.read(HELLO),
  ];
  for (const end of ends) {
    const harness = idle();
    end(harness.socket);
    assert.equal(harness.open, 0);
    const { recorder } = harness.send();
    harness.socket.connect().read(HELLO);
    assert.deepEqual([recorder.events, harness.sockets.length], [['200', 'end'], 2]);
  }
});

test('a request that wants a new connection gets one, and an idle one makes room for it', () => {
  const harness = idle({ connections: 1 });
  const { recorder } = harness.send({ fresh: true });
  assert.deepEqual([harness.sockets.length, harness.open], [2, 1]);
  harness.socket.connect().read(OK);
  assert.deepEqual(recorder.events, ['200', 'end']);
});

test('an idle connection that ends just as a request is sent on it is stale, which one in use or new is not', async () => {
  const reset = Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' });
  const harness = idle();
  const stale = harness.send();
  harness.socket.lose(reset);
  const fresh = harness.send();
  harness.socket.connect().lose(reset);
  await settled();
  for (const { recorder } of [stale, fresh]) assert.deepEqual(recorder.events, ['head origin-cut-off']);
  assert.deepEqual([stale.recorder.failure?.stale, fresh.recorder.failure?.stale], [true, false]);
  const begun = idle();
  const partial = begun.send();
  begun.socket.read('HTTP/1.1 2');
  begun.socket.finish();
  await settled();
  assert.deepEqual([partial.recorder.events, partial.recorder.failure?.stale], [['head origin-cut-off'], false]);
});

test('an origin that no snapshot has any more loses its connections when they are done', () => {
  const harness = idle();
  const first = harness.send();
  harness.send();
  harness.use({});
  assert.equal(harness.open, 2);
  harness.socket.connect().read(OK);
  assert.equal(harness.open, 1);
  harness.sockets[0]?.read(HELLO);
  assert.deepEqual([first.recorder.events, harness.open], [['200', 'end'], 0]);
});

test('closing fails what waits and what is under way, and what is sent afterwards', async () => {
  const harness = idle({ connections: 1 });
  const sent = [harness.send(), harness.send()];
  harness.client.close();
  sent.push(harness.send());
  await settled();
  assert.deepEqual(events(sent), ['head origin-cut-off', 'connect origin-unreachable', 'connect origin-unreachable']);
  assert.deepEqual([sent[0]?.recorder.failure?.stale, harness.open, harness.clock.pending], [false, 0, 0]);
});

test('in any order of events each request ends once, and connections stay within their bounds', async () => {
  const { seededRandom } = await import('../../../../infra/runtime/random.ts');
  for (let seed = 1; seed <= 60; seed += 1) {
    const random = seededRandom(seed);
    const pick = <T>(list: readonly T[]): T | undefined => list[Math.floor(random.next() * list.length)];
    const harness = new Harness({ connections: 3, waiting: 4, idle: 2 });
    const connected = new Set<FakeSocket>();
    const sent: Sent[] = [];
    const aborted = new Set<Sent>();
    const requests = (socket: FakeSocket) => socket.written.split('GET').length - 1;
    const answered = new Map<FakeSocket, number>();
    for (let step = 0; step < 200; step += 1) {
      const live = harness.sockets.filter(({ destroyed }) => !destroyed);
      const socket = pick(live);
      const action = random.next();
      if (action < 0.35) sent.push(harness.send({ fresh: random.next() < 0.1 }));
      else if (action < 0.4) harness.clock.advance(random.next() * 400);
      else if (action < 0.45) await settled();
      else if (action < 0.5) {
        const one = pick(sent);
        if (one !== undefined && one.recorder.events.length === 0) aborted.add(one);
        one?.call.abort();
      } else if (socket !== undefined && !connected.has(socket)) {
        if (random.next() < 0.2) socket.lose(new Error('refused'));
        else {
          connected.add(socket);
          socket.connect();
        }
      } else if (socket !== undefined && requests(socket) > (answered.get(socket) ?? 0)) {
        answered.set(socket, requests(socket));
        if (random.next() < 0.15) socket.finish();
        else socket.read(random.next() < 0.5 ? HELLO : OK);
      } else if (socket !== undefined && random.next() < 0.1) socket.finish();
      assert.ok(harness.open <= 3, `seed ${seed}: ${harness.open} connections`);
    }
    harness.client.close();
    await settled();
    for (const one of sent) {
      const { events: said } = one.recorder;
      const ends = said.filter((event) => event === 'end' || event.includes(' ')).length;
      assert.ok(aborted.has(one) ? ends <= 1 : ends === 1, `seed ${seed}: ${said.join(', ')}`);
    }
    assert.equal(harness.open, 0);
  }
});
