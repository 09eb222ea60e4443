import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ClientPort } from '../../../../edge-node/ports.ts';
import { converse, echo, Harness, ok, okText, settled } from './harness.ts';

const GET = (target: string, fields = '') => `GET ${target} HTTP/1.1\r\nHost: a.example\r\n${fields}\r\n`;

test('a request is answered, and the connection stays for the next', async () => {
  const harness = new Harness(echo).listen();
  harness.send(GET('/one'));
  await settled();
  assert.equal(harness.received, okText('/one'));
  harness.send(GET('/two'));
  await settled();
  assert.equal(harness.received, okText('/one') + okText('/two'));
});

test('the request comes with what the pipeline needs', async () => {
  const seen: ClientPort[] = [];
  const answer = (client: ClientPort) => {
    seen.push(client);
    echo(client);
  };
  await converse(`${GET('/x', 'Accept: y\r\n')}`, answer);
  const { method, target, fields, version, scheme, peer, hasBody } = seen[0]?.request ?? assert.fail('no request');
  assert.deepEqual([method, target, fields], ['GET', '/x', ['host', 'a.example', 'accept', 'y']]);
  assert.deepEqual([version, scheme, peer, hasBody], ['1.1', 'http', '', false]);
  assert.equal(seen[0]?.body, undefined);
});

test('pipelined requests are answered in order, and leave in one write when they came in one', async () => {
  const harness = new Harness(echo).listen();
  harness.send(GET('/1') + GET('/2') + GET('/3'));
  await settled();
  assert.deepEqual(harness.pieces, [okText('/1') + okText('/2') + okText('/3')]);
});

test('a request is not begun before the one before it is answered', async () => {
  const clients: ClientPort[] = [];
  const harness = new Harness((client) => clients.push(client)).listen();
  harness.send(GET('/1') + GET('/2'));
  await settled();
  assert.deepEqual(
    clients.map(({ request }) => request.target),
    ['/1'],
  );
  harness.send(GET('/3'));
  for (let i = 0; i < 3; i += 1) {
    await settled();
    const client = clients[i];
    assert.equal(clients.length, i + 1);
    if (client) echo(client);
  }
  await settled();
  assert.equal(harness.received, okText('/1') + okText('/2') + okText('/3'));
});

test('however the octets are cut, the answers are the same', async () => {
  const post =
    'POST /p HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\nX-T: 1\r\n\r\n';
  const put = 'PUT /q HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nfour';
  const requests = GET('/1') + post + GET('/2') + put + GET('/3', 'Connection: close\r\n');
  const handler = (client: ClientPort) => {
    if (client.body === undefined) echo(client);
    else void readAll(client).then((body) => ok(client, body));
  };
  const expected =
    okText('/1') + okText('abcde') + okText('/2') + okText('four') + okText('/3', 'connection: close\r\n');
  assert.equal(await converse(requests, handler), expected);
  for (let cut = 1; cut < requests.length; cut += 1) {
    const harness = new Harness(handler).listen();
    harness.send(requests.slice(0, cut));
    await settled();
    harness.send(requests.slice(cut));
    await settled();
    assert.equal(harness.received, expected, `cut at ${cut}`);
  }
  const drip = new Harness(handler).listen();
  for (const octet of requests) {
    drip.send(octet);
    await new Promise((resolve) => setImmediate(resolve));
  }
  await settled();
  assert.equal(drip.received, expected);
});

async function readAll(client: ClientPort): Promise<string> {
  let body = '';
  for await (const chunk of client.body?.chunks() ?? []) body += Buffer.from(chunk).toString('latin1');
  return body;
}

test('HEAD has the length and no body; 204 and 304 have neither', async () => {
  const answering = (status: number) => (client: ClientPort) =>
    client.answer(status, ['date', 'now'], Buffer.from('body'), 4);
  const head = await converse('HEAD / HTTP/1.1\r\nHost: a\r\n\r\n', answering(200));
  assert.equal(head, 'HTTP/1.1 200 OK\r\ndate: now\r\ncontent-length: 4\r\n\r\n');
  assert.equal(await converse(GET('/'), answering(204)), 'HTTP/1.1 204 No Content\r\ndate: now\r\n\r\n');
  assert.equal(await converse(GET('/'), answering(304)), 'HTTP/1.1 304 Not Modified\r\ndate: now\r\n\r\n');
  const without = (client: ClientPort) => client.answer(200, ['date', 'now'], undefined, undefined);
  assert.equal(await converse(GET('/'), without), okText(''));
  assert.equal(await converse('HEAD / HTTP/1.1\r\nHost: a\r\n\r\n', without), 'HTTP/1.1 200 OK\r\ndate: now\r\n\r\n');
});

test('HTTP/1.0 ends after the answer unless the client asked to keep the connection', async () => {
  assert.equal(await converse(`GET /1 HTTP/1.0\r\n\r\n${GET('/2')}`, echo), okText('/1', 'connection: close\r\n'));
  const kept = await converse(`GET /1 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n${GET('/2')}`, echo);
  assert.equal(kept, okText('/1', 'connection: keep-alive\r\n') + okText('/2'));
});

test('Connection: close ends it, and what was sent behind it is not read', async () => {
  const targets: string[] = [];
  const handler = (client: ClientPort) => {
    targets.push(client.request.target);
    echo(client);
  };
  const received = await converse(GET('/1', 'Connection: close\r\n') + GET('/2'), handler);
  assert.equal(received, okText('/1', 'connection: close\r\n'));
  assert.deepEqual(targets, ['/1']);
});

test('an answer without a Date gets one', async () => {
  const date = 'date: Tue, 14 Nov 2023 22:13:20 GMT\r\n';
  const answered = await converse(GET('/'), (client) => client.answer(200, ['x', '1'], undefined, undefined));
  assert.equal(answered, `HTTP/1.1 200 OK\r\nx: 1\r\n${date}content-length: 0\r\n\r\n`);
  const streamed = await converse(GET('/'), (client) => {
    client.begin(200, [], 0);
    client.end();
  });
  assert.equal(streamed, `HTTP/1.1 200 OK\r\n${date}content-length: 0\r\n\r\n`);
});

test('a streamed answer: by length, in chunks, or in HTTP/1.0 until the connection closes', async () => {
  const streaming = (length: number | undefined) => (client: ClientPort) => {
    client.begin(200, ['date', 'now'], length);
    client.write(Buffer.from('hello'));
    client.write(Buffer.alloc(0));
    setImmediate(() => {
      client.write(Buffer.from(', world'));
      client.end();
    });
  };
  const head = 'HTTP/1.1 200 OK\r\ndate: now\r\n';
  assert.equal(await converse(GET('/'), streaming(12)), `${head}content-length: 12\r\n\r\nhello, world`);
  const chunked = (fields = '') =>
    `${head}transfer-encoding: chunked\r\n${fields}\r\n5\r\nhello\r\n7\r\n, world\r\n0\r\n\r\n`;
  // By the time of the second, the client has closed its side.
  assert.equal(await converse(GET('/') + GET('/'), streaming(undefined)), chunked() + chunked('connection: close\r\n'));
  assert.equal(
    await converse('GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n', streaming(undefined)),
    `${head}connection: close\r\n\r\nhello, world`,
  );
  assert.equal(await converse('HEAD / HTTP/1.1\r\nHost: a\r\n\r\n', streaming(undefined)), `${head}\r\n`);
});

test('the head of a streamed answer does not wait for the body, and goes with it when that is there', async () => {
  const clients: ClientPort[] = [];
  const harness = new Harness((client) => clients.push(client)).listen();
  harness.send(GET('/'));
  await settled();
  clients[0]?.begin(200, ['date', 'now'], 5);
  await settled();
  assert.equal(harness.received, 'HTTP/1.1 200 OK\r\ndate: now\r\ncontent-length: 5\r\n\r\n');
  clients[0]?.write(Buffer.from('hello'));
  clients[0]?.end();
  harness.send(GET('/'));
  await settled();
  const before = harness.pieces.length;
  clients[1]?.begin(200, ['date', 'now'], 5);
  clients[1]?.write(Buffer.from('hello'));
  await settled();
  assert.deepEqual(harness.pieces.slice(before), ['HTTP/1.1 200 OK\r\ndate: now\r\ncontent-length: 5\r\n\r\nhello']);
});

test('an answer that is longer or shorter than it said breaks the connection', async () => {
  for (const parts of [['12345', '6'], ['123456'], ['1234']]) {
    const harness = new Harness((client) => {
      client.begin(200, ['date', 'now'], 5);
      for (const part of parts) client.write(Buffer.from(part));
      client.end();
    }).listen();
    harness.send(GET('/'));
    await settled();
    assert.ok(harness.server.destroyed, parts.join());
    assert.ok(harness.received.length <= 'HTTP/1.1 200 OK\r\ndate: now\r\ncontent-length: 5\r\n\r\n12345'.length);
  }
});

test('an answer that was broken off breaks the connection, so that nobody takes it for whole', async () => {
  const harness = new Harness((client) => {
    client.begin(200, [], undefined);
    client.write(Buffer.from('half'));
    client.abort();
  }).listen();
  harness.send(GET('/'));
  await settled();
  assert.ok(harness.server.destroyed);
  assert.ok(!harness.received.includes('0\r\n\r\n'));
});

test('early hints go before the answer, to HTTP/1.1 only', async () => {
  const hinting = (client: ClientPort) => {
    client.inform(103, ['link', '</a.css>; rel=preload', 'x', '1']);
    client.inform(103, ['x', '1']);
    client.inform(103, ['link', 'nonsense']);
    client.inform(102, []);
    setImmediate(() => echo(client));
  };
  const hint = 'HTTP/1.1 103 Early Hints\r\nlink: </a.css>; rel=preload\r\n\r\n';
  assert.equal(await converse(GET('/'), hinting), hint + okText('/', 'connection: close\r\n'));
  assert.equal(await converse('GET / HTTP/1.0\r\n\r\n', hinting), okText('/', 'connection: close\r\n'));
});

test('a field that cannot be sent throws, so that the handler can answer otherwise', async () => {
  for (const [name, value] of [
    ['x', 'a\r\nset-cookie: b'],
    ['x', 'a\u010a'],
    ['x y', '1'],
  ] as const) {
    const received = await converse(GET('/'), (client) => {
      assert.throws(() => client.answer(200, [name, value], undefined, 0), /cannot be sent: "x/);
      assert.throws(() => client.begin(200, [name, value], 0), /cannot be sent: "x/);
      client.inform(103, [name, value]);
      ok(client, 'instead');
    });
    assert.equal(received, okText('instead'));
  }
});

test('what cannot be read is refused with a status, a reason, a date, and the end of the connection', async () => {
  const cases: readonly (readonly [string, string, string])[] = [
    ['GET / HTTP/1.1\r\n\r\n', '400 Bad Request', 'malformed-host'],
    [GET('/a#b'), '400 Bad Request', 'malformed-target'],
    [GET('/', 'X : y\r\n'), '400 Bad Request', 'malformed-request'],
    [GET('/', 'Content-Length: 1\r\nTransfer-Encoding: chunked\r\n'), '400 Bad Request', 'malformed-request'],
    [GET(`/${'a'.repeat(9000)}`), '414 URI Too Long', 'target-too-long'],
    [GET('/', 'X: y\r\n'.repeat(200)), '431 Request Header Fields Too Large', 'fields-too-large'],
    [GET('/', `X: ${'y'.repeat(40_000)}\r\n`), '431 Request Header Fields Too Large', 'fields-too-large'],
    ['CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n', '501 Not Implemented', 'method-unknown'],
    ['GET / HTTP/2.0\r\nHost: a\r\n\r\n', '505 HTTP Version Not Supported', 'version-unsupported'],
    [GET('/', 'Expect: x\r\n'), '417 Expectation Failed', 'expectation-failed'],
  ];
  for (const [octets, status, code] of cases) {
    const harness = new Harness(() => assert.fail('a handler was called')).listen();
    harness.send(octets + GET('/next'));
    await settled();
    assert.ok(harness.received.startsWith(`HTTP/1.1 ${status}\r\n`), harness.received);
    assert.match(harness.received, /\r\nconnection: close\r\n/);
    assert.match(harness.received, /\r\ndate: Tue, 14 Nov 2023 22:13:20 GMT\r\n/);
    assert.ok(harness.received.includes(`"code":"${code}"`));
    assert.ok(harness.client.readableEnded);
    assert.deepEqual(harness.refused, [code]);
  }
});

test('a good request before a bad one is answered', async () => {
  const received = await converse(`${GET('/1')}GET / HTTP/1.1\nHost: a\r\n\r\n`, echo);
  assert.ok(received.startsWith(`${okText('/1')}HTTP/1.1 400 Bad Request\r\n`));
});

test('fields with "_" are counted', async () => {
  const harness = new Harness(echo).listen();
  harness.send(GET('/', 'X_A: 1\r\nX_B: 1\r\n'));
  await settled();
  assert.deepEqual(harness.refused, ['underscore-field', 'underscore-field']);
  assert.equal(harness.received, okText('/'));
});

test('a client that closes its side still gets its answer', async () => {
  const clients: ClientPort[] = [];
  const harness = new Harness((client) => clients.push(client)).listen();
  harness.client.end(GET('/1') + GET('/2'));
  await settled();
  for (let i = 0; i < 2; i += 1) {
    const client = clients[i];
    if (client) echo(client);
    await settled();
  }
  assert.equal(harness.received, okText('/1') + okText('/2', 'connection: close\r\n'));
  assert.ok(harness.client.readableEnded);
});

test('a client that goes away is told of once, and what is answered afterwards goes nowhere', async () => {
  let gone = 0;
  const clients: ClientPort[] = [];
  const harness = new Harness((client) => {
    client.onGone = () => {
      gone += 1;
    };
    clients.push(client);
  });
  harness.send(GET('/1') + GET('/2'));
  await settled();
  harness.server.destroy();
  await settled();
  assert.equal(gone, 1);
  const client = clients[0];
  assert.ok(client);
  echo(client);
  client.abort();
  await settled();
  assert.equal(gone, 1);
  assert.equal(clients.length, 1);
  assert.equal(harness.shared.connections.size, 0);
});

test('a handler is told to wait while the client is slow, and when to go on', async () => {
  let waits = 0;
  let written = 0;
  const chunk = Buffer.alloc(64 * 1024, 'x');
  const harness = new Harness((client) => {
    client.begin(200, [], undefined);
    const more = () => {
      while (written < 40) {
        written += 1;
        if (!client.write(chunk)) {
          waits += 1;
          return;
        }
      }
      client.end();
    };
    client.onDrain = more;
    more();
  });
  harness.send(GET('/'));
  await settled();
  assert.equal(waits, 1);
  assert.ok(written < 8, `${written} chunks were taken although the client reads nothing`);
  harness.listen();
  for (let i = 0; i < 200 && !harness.received.endsWith('0\r\n\r\n'); i += 1) await settled();
  assert.equal(written, 40);
  assert.ok(harness.received.endsWith('0\r\n\r\n'));
});

test('a client that reads nothing gets no more requests answered than fit', async () => {
  const body = 'x'.repeat(8 * 1024);
  let answered = 0;
  const harness = new Harness((client) => {
    answered += 1;
    ok(client, body);
  });
  for (let i = 0; i < 400; i += 1) harness.send(GET('/'));
  await settled();
  assert.ok(answered < 60, `${answered} were answered`);
  harness.listen();
  for (let i = 0; i < 400 && answered < 400; i += 1) await settled();
  await settled();
  assert.equal(harness.received.length, 400 * okText(body).length);
});

test('a long body comes whole, and the next answer behind it', async () => {
  const body = Buffer.alloc(1_000_000, 'ab');
  const received = await converse(GET('/long') + GET('/short'), (client) => {
    if (client.request.target === '/long') client.answer(200, ['date', 'now'], body, body.length);
    else echo(client);
  });
  assert.ok(received === okText(body.toString()) + okText('/short', 'connection: close\r\n'));
});
