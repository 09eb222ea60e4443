// Reading where to listen.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseListen } from '../../../control-plane/decide/listen.ts';
import { seededRandom } from '../../../infra/runtime/random.ts';

test('a host and a port, and whether only this machine can reach them', () => {
  const cases: [string, string, number, boolean][] = [
    ['127.0.0.1:7001', '127.0.0.1', 7001, true],
    ['127.1.2.3:0', '127.1.2.3', 0, true],
    ['localhost:1', 'localhost', 1, true],
    ['[::1]:65535', '::1', 65535, true],
    ['[::]:7001', '::', 7001, false],
    ['0.0.0.0:7001', '0.0.0.0', 7001, false],
    ['10.0.0.1:7001', '10.0.0.1', 7001, false],
    ['localhost.example.com:7001', 'localhost.example.com', 7001, false],
    ['127.0.0.1.example.com:7001', '127.0.0.1.example.com', 7001, false],
  ];
  for (const [text, host, port, loopback] of cases) {
    assert.deepEqual(parseListen(text), { kind: 'address', host, port, loopback });
  }
});

test('anything else is refused, with a part of it and an example', () => {
  for (const text of [
    '',
    ':',
    ':1',
    'a',
    'a:',
    'a:-1',
    'a:65536',
    'a:1:2',
    '::1:1',
    '[::1]',
    '[]:1',
    'a b:1',
    'a:1\n',
  ]) {
    const result = parseListen(text);
    assert.ok(result.kind === 'malformed', text);
    assert.match(result.reason, /is not HOST:PORT, such as/);
  }
});

test('no text makes it throw, or give a port out of range', () => {
  const random = seededRandom(11);
  const letters = 'a1:.[]-/ \n%é0679';
  for (let i = 0; i < 20_000; i += 1) {
    let text = '';
    for (let length = random.next() * 12; length > 0; length -= 1) {
      text += letters[Math.floor(random.next() * letters.length)];
    }
    const result = parseListen(text);
    if (result.kind === 'address') assert.ok(result.host !== '' && result.port >= 0 && result.port <= 65535, text);
  }
});
