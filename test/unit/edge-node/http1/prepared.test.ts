// Answers from the cache that many clients get: the same octets as any answer, rendered at most once.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PreparedAnswer } from '../../../../edge-node/decide/cache/prepared.ts';
import { Renderings } from '../../../../edge-node/io/http1/renderings.ts';
import { converse, ok } from './harness.ts';

const GET = (target: string, fields = '') => `GET ${target} HTTP/1.1\r\nHost: a\r\n${fields}\r\n`;

test('a prepared answer goes out the same whether it is rendered or not, and to whomever it goes', async () => {
  const requests = [
    GET('/'),
    'HEAD / HTTP/1.1\r\nHost: a\r\n\r\n',
    'GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n',
    'GET / HTTP/1.0\r\n\r\n',
    GET('/', 'Connection: close\r\n'),
  ];
  const long = Buffer.alloc(20_000, 'x');
  for (const [status, fields, body, length] of [
    [200, ['date', 'then', 'age', '7'], Buffer.from('hit'), 3],
    [200, ['date', 'then', 'content-length', '9'], long, long.length],
    [304, ['date', 'then', 'etag', '"1"'], undefined, undefined],
    [416, ['content-range', 'bytes */3'], undefined, 0],
  ] as const) {
    const prepared = new PreparedAnswer(status, fields, body, length, true);
    for (let use = 0; use < 4; use += 1) {
      for (const request of requests) {
        const plain = await converse(request, (client) => client.answer(status, fields, body, length));
        assert.equal(await converse(request, (client) => client.answerPrepared?.(prepared)), plain);
      }
    }
    const rendered = prepared.octets?.toString();
    assert.equal(rendered !== undefined, status !== 416, 'what needs the Date of the moment is not rendered');
  }
});

test('a prepared answer with a field that cannot be sent is a defect each time', async () => {
  const prepared = new PreparedAnswer(200, ['date', 'now', 'x', 'a\r\nb'], undefined, 0, true);
  let thrown = 0;
  for (let use = 0; use < 3; use += 1) {
    await converse(GET('/'), (client) => {
      try {
        client.answerPrepared?.(prepared);
      } catch {
        thrown += 1;
        ok(client, 'defect');
      }
    });
  }
  assert.equal(thrown, 3);
});

test('what nobody else will get is not rendered', () => {
  const prepared = new PreparedAnswer(200, ['date', 'now'], undefined, 0, false);
  assert.equal(new Renderings().octetsOf(prepared), undefined);
});

test('what is rendered is bounded, the oldest going first', () => {
  const renderings = new Renderings(1_000);
  const answers = Array.from({ length: 20 }, (_, i) => {
    return new PreparedAnswer(200, ['date', 'now'], Buffer.alloc(i === 10 ? 1_000 : 100), i === 10 ? 1_000 : 100, true);
  });
  for (const prepared of answers) {
    assert.equal(renderings.octetsOf(prepared), prepared.octets);
    assert.ok(renderings.bytes <= 1_000);
  }
  const kept = answers.map(({ octets }) => octets !== undefined);
  assert.deepEqual([kept.lastIndexOf(false), kept.filter(Boolean).length], [13, 6]);
});
