// One connection to an origin: how an answer is read however it arrives, what ends the connection, and how request and answer go
// past each other.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Body, Recorder, Switcher } from '../../../support/origin-calls.ts';
import { Harness, HELLO, OK, settled } from './harness.ts';

const CHUNKED = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n';

/** What is told of `text`, which comes in `cuts`' pieces. */
async function told(text: string, cuts: readonly number[], method = 'GET'): Promise<string> {
  const harness = new Harness();
  const { recorder } = harness.send({ method });
  harness.socket.connect();
  let from = 0;
  for (const to of [...cuts, text.length]) {
    if (to > from && !harness.socket.destroyed) harness.socket.read(text.slice(from, to));
    from = to;
  }
  await settled();
  const { events, body, trailers } = recorder;
  return JSON.stringify([events, body, trailers, harness.open]);
}

test('what an answer says does not depend on the reads that bring it', async () => {
  const answers = [
    HELLO,
    `HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n${HELLO}`,
    `${CHUNKED}5\r\nhello\r\n6\r\n world\r\n0\r\nX-T: 1\r\n\r\n`,
    `${CHUNKED}5\r\nhello\r\nx\r\n`,
    'HTTP/1.1 204 No Content\r\n\r\n',
    'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello',
    `${OK}HTTP/1.1 200 OK\r\n`,
  ];
  for (const text of answers) {
    const whole = await told(text, []);
    for (let cut = 1; cut < text.length; cut += 1) {
      const cutHere = await told(text, [cut]);
      // Where octets follow an answer, they end the connection whether they come with it or after it.
      assert.equal(cutHere, whole, `${JSON.stringify(text)} cut at ${cut}`);
    }
    const single = await told(
      text,
      Array.from({ length: text.length - 1 }, (_, i) => i + 1),
    );
    assert.equal(single, whole, 'octet by octet');
  }
});

test('chunks that come together are passed on as one piece', () => {
  const harness = new Harness();
  const pieces: string[] = [];
  const recorder = new (class extends Recorder {
    override onData(chunk: Buffer): void {
      pieces.push(chunk.toString());
    }
  })();
  harness.send({}, recorder);
  harness.socket.connect().read(`${CHUNKED}1\r\na\r\n2\r\nbc\r\n3\r\ndef\r\n0\r\n\r\n`);
  assert.deepEqual([pieces, recorder.events], [['abcdef'], ['200', 'end']]);
});

test('an answer to HEAD has no body; one without framing has what comes until the end', async () => {
  const head = new Harness();
  const { recorder } = head.send({ method: 'HEAD' });
  head.socket.connect().read('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n');
  assert.deepEqual([recorder.events, head.open], [['200', 'end'], 1]);
  const close = new Harness();
  const { recorder: until } = close.send();
  close.socket.connect().read('HTTP/1.1 200 OK\r\n\r\nhel');
  close.socket.read('lo');
  assert.deepEqual(until.events, ['200']);
  close.socket.finish();
  assert.deepEqual([until.events, until.body, close.open], [['200', 'end'], 'hello', 0]);
});

test('a connection that is lost is no proper end of a body without framing', async () => {
  const harness = new Harness();
  const { recorder } = harness.send();
  harness.socket.connect().read('HTTP/1.1 200 OK\r\n\r\nhel');
  harness.socket.lose(Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' }));
  await settled();
  assert.deepEqual(recorder.events, ['200', 'body origin-cut-off']);
});

test('the connection ends after an answer that says so, that is of HTTP/1.0, or that octets follow', () => {
  const answers = [
    'HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n',
    'HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n',
    `${HELLO}x`,
    `${CHUNKED}0\r\n\r\n${OK}`,
    `HTTP/1.1 304 Not Modified\r\n\r\nhello`,
  ];
  for (const text of answers) {
    const harness = new Harness();
    const { recorder } = harness.send();
    harness.socket.connect().read(text);
    assert.deepEqual([recorder.events.at(-1), harness.open], ['end', 0], text);
  }
});

test('informational answers are passed on, but not without end, and 100 means nothing to whoever did not ask', async () => {
  const harness = new Harness();
  const { recorder } = harness.send();
  harness.socket.connect().read('HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n');
  assert.deepEqual(recorder.events, ['103']);
  harness.socket.read('HTTP/1.1 103 Early Hints\r\n\r\n'.repeat(31));
  await settled();
  assert.deepEqual([recorder.events.at(-1), harness.open], ['head origin-malformed', 0]);
});

test('a silent origin runs out of time, and one that drips its head does, too', async () => {
  const silent = new Harness();
  const { recorder } = silent.send();
  silent.socket.connect();
  silent.clock.advance(900);
  await settled();
  assert.deepEqual(recorder.events, []);
  silent.clock.advance(200);
  await settled();
  assert.deepEqual([recorder.events, silent.open], [['head origin-timeout'], 0]);
  const dripping = new Harness();
  const { recorder: drip } = dripping.send();
  dripping.socket.connect();
  for (let i = 0; i < 12 && !dripping.socket.destroyed; i += 1) {
    dripping.socket.read(HELLO[i] ?? '');
    dripping.clock.advance(100);
  }
  await settled();
  assert.deepEqual(drip.events, ['head origin-timeout']);
});

test('between pieces of a body there is the time that its pool gives, which a receiver’s pause does not use up', async () => {
  const harness = new Harness();
  const { recorder, call } = harness.send();
  harness.socket.connect().read('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nh');
  for (const piece of ['e', 'l']) {
    harness.clock.advance(900);
    harness.socket.read(piece);
  }
  call.pause();
  assert.equal(harness.socket.paused, true);
  harness.clock.advance(10_000);
  call.resume();
  assert.equal(harness.socket.paused, false);
  harness.clock.advance(900);
  await settled();
  assert.deepEqual(recorder.events, ['200']);
  harness.clock.advance(300);
  await settled();
  assert.deepEqual(recorder.events, ['200', 'body origin-timeout']);
});

test('after an abort nothing is told, whatever was read', async () => {
  const harness = new Harness();
  const recorder = new (class extends Recorder {
    override onHead(): void {
      super.onHead(200, []);
      sent.call.abort();
    }
  })();
  const sent = harness.send({}, recorder);
  harness.socket.connect().read(HELLO);
  await settled();
  assert.deepEqual([recorder.events, recorder.body, harness.open], [['200'], '', 0]);
});

test('a body goes out in pieces as the origin takes them, framed by its length or in chunks', async () => {
  const harness = new Harness();
  const body = new Body({ length: 10 });
  harness.send({ method: 'POST', body });
  assert.equal(body.consumed, false, 'as long as another origin could have it');
  harness.socket.connect();
  assert.equal(body.consumed, true);
  harness.socket.writableNeedDrain = true;
  body.give('hello');
  body.give('world');
  body.give(undefined);
  await settled();
  assert.match(harness.socket.written, /content-length: 10\r\n\r\nhello$/);
  harness.socket.drain();
  await settled();
  assert.match(harness.socket.written, /\r\n\r\nhelloworld$/);
  harness.socket.read(OK);
  assert.equal(harness.open, 1);
  harness.send({ method: 'POST', body: Body.of('hello', '', 'world') });
  await settled();
  assert.match(harness.socket.written, /transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n5\r\nworld\r\n0\r\n\r\n$/);
});

test('a body that breaks off, or is not as long as was said, is never made to look whole', async () => {
  for (const piece of [new Error('the client went away'), undefined, 'too long for it']) {
    const harness = new Harness();
    const body = new Body({ length: 10 });
    const { recorder } = harness.send({ method: 'POST', body });
    harness.socket.connect();
    body.give('hello');
    body.give(piece);
    await settled();
    assert.deepEqual([recorder.events, harness.open], [['head origin-cut-off'], 0], String(piece));
    assert.match(harness.socket.written, /\r\n\r\nhello$/);
  }
  const chunked = new Harness();
  const body = new Body();
  chunked.send({ method: 'POST', body });
  chunked.socket.connect();
  body.give('hello');
  body.give(new Error('the client went away'));
  await settled();
  assert.doesNotMatch(chunked.socket.written, /\r\n0\r\n/);
  assert.equal(chunked.open, 0);
});

test('an answer may begin, and end, before the request is complete; then the connection ends', async () => {
  const harness = new Harness();
  const body = new Body();
  const { recorder } = harness.send({ method: 'POST', body });
  harness.socket.connect();
  body.give('a');
  await settled();
  harness.socket.read('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nA');
  body.give('b');
  await settled();
  assert.match(harness.socket.written, /1\r\na\r\n1\r\nb\r\n$/, 'both go on at once');
  harness.socket.read('B');
  assert.deepEqual([recorder.events, recorder.body, harness.open], [['200', 'end'], 'AB', 0]);
});

test('an origin that refuses the body and closes is sent no more of it', async () => {
  const harness = new Harness();
  const body = new Body();
  const { recorder } = harness.send({ method: 'POST', body });
  harness.socket.connect().read('HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 2\r\n\r\nn');
  body.give('more');
  await settled();
  assert.doesNotMatch(harness.socket.written, /more/);
  harness.socket.read('o');
  assert.deepEqual(recorder.events, ['413', 'end']);
});

test('an origin that takes no more of a body runs out of time; a client that sends no more does not', async () => {
  const harness = new Harness();
  const body = new Body();
  const { recorder } = harness.send({ method: 'POST', body });
  harness.socket.connect();
  harness.clock.advance(10_000);
  await settled();
  assert.deepEqual(recorder.events, []);
  harness.socket.writableNeedDrain = true;
  body.give('a');
  await settled();
  harness.clock.advance(1_200);
  await settled();
  assert.deepEqual(recorder.events, ['head origin-timeout']);
});

test('what the client holds back until 100 (Continue) is held back here, until the origin says so or time is up', async () => {
  for (const way of ['100', 'time'] as const) {
    const harness = new Harness({ continueMs: 500 });
    const body = new Body({ length: 5, continueDue: true });
    const { recorder } = harness.send({ method: 'POST', body });
    harness.socket.connect();
    body.give('hello');
    body.give(undefined);
    await settled();
    assert.match(harness.socket.written, /expect: 100-continue\r\ncontent-length: 5\r\n\r\n$/);
    assert.equal(body.consumed, false);
    if (way === '100') harness.socket.read('HTTP/1.1 100 Continue\r\n\r\n');
    else harness.clock.advance(600);
    await settled();
    assert.match(harness.socket.written, /\r\n\r\nhello$/);
    harness.socket.read(OK);
    assert.deepEqual([recorder.events, harness.open], [['200', 'end'], 1]);
  }
});

test('a final answer in place of 100 leaves the body with the client, and ends the connection', async () => {
  const harness = new Harness();
  const body = new Body({ length: 5, continueDue: true });
  const { recorder } = harness.send({ method: 'POST', body });
  harness.socket.connect().read('HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n');
  await settled();
  assert.deepEqual([recorder.events, body.consumed, harness.open], [['401', 'end'], false, 0]);
});

test('after 101 octets go both ways as they are, and not before', async () => {
  const harness = new Harness();
  const input = new Body();
  const recorder = new Switcher(input);
  harness.send({ upgrade: 'websocket' }, recorder);
  harness.socket.connect();
  input.give('early');
  await settled();
  assert.match(harness.socket.written, /connection: upgrade\r\nupgrade: websocket\r\n\r\n$/);
  harness.socket.read('HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nhello');
  await settled();
  assert.match(harness.socket.written, /\r\n\r\nearly$/);
  harness.socket.read('HTTP/1.1 200 OK\r\n\r\n');
  assert.equal(recorder.body, 'helloHTTP/1.1 200 OK\r\n\r\n');
  input.give(undefined);
  await settled();
  assert.deepEqual([harness.socket.ended, harness.socket.destroyed], [true, false], 'the end of one way only');
  harness.socket.read('bye');
  harness.socket.finish();
  assert.deepEqual([recorder.events, recorder.body.slice(-3), harness.open], [['101', 'end'], 'bye', 0]);
});

test('an answer other than 101 is an answer like others, and the connection stays', async () => {
  const harness = new Harness();
  const input = new Body();
  const recorder = new Switcher(input);
  harness.send({ upgrade: 'websocket' }, recorder);
  harness.socket
    .connect()
    .read('HTTP/1.1 403 Forbidden\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nContent-Length: 0\r\n\r\n');
  assert.deepEqual([recorder.events, input.consumed, harness.open], [['403', 'end'], false, 1]);
});

test('a switch that nobody asked for, or to something else, is malformed', async () => {
  const answers: [string | undefined, string][] = [
    [undefined, 'Upgrade: websocket\r\nConnection: Upgrade\r\n'],
    ['websocket', 'Upgrade: h2c\r\nConnection: Upgrade\r\n'],
    ['websocket', 'Upgrade: websocket\r\n'],
    ['websocket', ''],
  ];
  for (const [upgrade, fields] of answers) {
    const harness = new Harness();
    const recorder = new Switcher(new Body());
    harness.send({ upgrade }, recorder);
    harness.socket.connect().read(`HTTP/1.1 101 x\r\n${fields}\r\n`);
    await settled();
    assert.deepEqual([recorder.events, harness.open], [['head origin-malformed'], 0], fields);
  }
});

test('a tunnel takes no place among connections, is bounded in number, and ends when it carries nothing', async () => {
  const harness = new Harness({ connections: 1, tunnels: 1, tunnelMs: 5_000 });
  const input = new Body();
  const recorder = new Switcher(input);
  harness.send({ upgrade: 'websocket' }, recorder);
  const tunnel = harness.socket.connect();
  tunnel.read('HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n');
  const { recorder: second } = harness.send({ upgrade: 'websocket' }, new Switcher(new Body()));
  const { recorder: plain } = harness.send();
  harness.socket.connect().read(OK);
  await settled();
  assert.deepEqual([second.events, plain.events], [['connect origin-busy'], ['200', 'end']]);
  harness.clock.advance(4_000);
  tunnel.read('a');
  harness.clock.advance(4_000);
  input.give('b');
  await settled();
  harness.clock.advance(4_000);
  assert.deepEqual(recorder.events, ['101']);
  harness.clock.advance(1_200);
  assert.deepEqual([recorder.events, tunnel.destroyed], [['101', 'end'], true]);
});

test('long bodies come whole, whether their receiver is done with each piece at once, late or never', () => {
  for (const retains of ['at once', 'late', 'never'] as const) {
    const harness = new Harness({ largeBuffers: 2 });
    const held: { chunk: Buffer; was: string }[] = [];
    let done = 0;
    const recorder = new (class extends Recorder {
      override onData(chunk: Buffer): void {
        held.push({ chunk, was: chunk.toString('latin1') });
        if (retains === 'at once') done = held.length;
      }
      get retains(): boolean {
        return done < held.length;
      }
    })();
    let text = '';
    for (let i = 0; text.length < 3_000_000; i += 1) text += `${i.toString(36)} `;
    harness.send({}, recorder);
    harness.socket.connect().read(`HTTP/1.1 200 OK\r\nContent-Length: ${text.length}\r\n\r\n`);
    for (let at = 0; at < text.length; at += 700_000) {
      if (retains === 'late') done = held.length;
      harness.socket.read(text.slice(at, at + 700_000));
      // What is in the receiver's hands has not been written over.
      for (const { chunk, was } of held.slice(done)) assert.equal(chunk.toString('latin1') === was, true, retains);
    }
    assert.equal(held.map(({ was }) => was).join('') === text, true, retains);
    assert.deepEqual(recorder.events, ['200', 'end']);
    assert.ok(retains === 'never' || held.length < 30, `${held.length} pieces`);
  }
});
