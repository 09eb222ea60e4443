// Agreement with Node's own HTTP/2: whatever its encoder sends is what our handler gets, and whatever we answer is what its decoder
// makes of it. Seeded; one connection for many requests, so that its dynamic table fills, turns over and is resized.
import assert from 'node:assert/strict';
import http2 from 'node:http2';
import { test } from 'node:test';
import type { ClientPort } from '../../../../edge-node/ports.ts';
import { seededRandom } from '../../../../infra/runtime/random.ts';
import { answerOf } from '../../../support/tls-edge.ts';
import { Harness } from './harness.ts';

const random = seededRandom(31);
const below = (limit: number): number => Math.floor(random.next() * limit);
const pick = <T>(list: readonly T[]): T => list[below(list.length)] ?? assert.fail();

/** Any octet that a value may have, but none at the ends that would be taken for blanks around it. */
function value(): string {
  const text = Array.from({ length: below(60) }, () => String.fromCharCode(0x20 + below(0xdf))).join('');
  return text.replaceAll('\x7f', '~').trim();
}

const NAMES = [
  'accept',
  'user-agent',
  'x-a',
  'x-b',
  'authorization',
  'accept-language',
  'x-long-name-of-something',
  'cookie',
];
const RECENT = Array.from({ length: 30 }, value);

/** Fields as `[name, value, ...]`, each name once, values mostly from a few, so that references are worth it. */
function fields(): string[] {
  const names = NAMES.filter(() => random.next() < 0.5);
  return names.flatMap((name) => [name, random.next() < 0.7 ? pick(RECENT) : value()]);
}

test('requests and answers are the same at both ends', async () => {
  for (const settings of [{}, { headerTableSize: 0 }, { headerTableSize: 200, initialWindowSize: 1_000 }]) {
    let last: ClientPort | undefined;
    let answer: string[] = [];
    const harness = new Harness((client) => {
      last = client;
      client.answer(200, answer, Buffer.from(client.request.target), undefined);
    });
    const session = http2.connect('https://a.example', { createConnection: () => harness.client, settings });
    for (let i = 0; i < 300; i += 1) {
      const sent = fields();
      answer = fields();
      const target = `/${'p'.repeat(below(5))}${below(20)}`;
      const pseudo = { ':method': pick(['GET', 'PUT', 'M-SEARCH']), ':path': target, ':authority': 'a.example' };
      const sensitive = { [http2.sensitiveHeaders]: ['authorization'] };
      const headers = { ...pseudo, ...Object.fromEntries(pairs(sent)), ...sensitive };
      const received = await answerOf(session.request(headers, { endStream: true }));
      assert.deepEqual(
        [last?.request.method, last?.request.target, last?.request.fields],
        [pseudo[':method'], target, ['host', 'a.example', ...sent]],
      );
      const { ':status': status, date, ...others } = received.headers;
      assert.ok(date);
      assert.deepEqual([status, Object.entries(others)], [200, pairs(answer)]);
      assert.equal(received.body, target);
    }
    assert.deepEqual(harness.refused, []);
    session.destroy();
  }
});

function pairs(list: readonly string[]): [string, string][] {
  return Array.from({ length: list.length / 2 }, (_, i) => [list[2 * i] ?? '', list[2 * i + 1] ?? '']);
}

test('bodies of any length arrive whole in both directions, at once', async () => {
  const harness = new Harness(async (client) => {
    const chunks: Uint8Array[] = [];
    for await (const chunk of client.body?.chunks() ?? []) chunks.push(chunk);
    const whole = Buffer.concat(chunks);
    client.answer(200, [], whole, whole.length);
  });
  const session = http2.connect('https://a.example', { createConnection: () => harness.client });
  const bodies = [0, 1, 16_384, 16_385, 65_535, 65_536, 200_000, 700_001].map((size) => Buffer.alloc(size, `${size}`));
  const answers = bodies.map((body) => {
    const stream = session.request({ ':method': 'POST', ':path': '/' }, { endStream: false });
    stream.end(body);
    return answerOf(stream);
  });
  for (const [i, answer] of answers.entries()) {
    const { body, headers } = await answer;
    assert.equal(Number(headers['content-length']), bodies[i]?.length);
    assert.ok(body === bodies[i]?.toString('latin1'), `body ${i}`);
  }
  assert.deepEqual(harness.refused, []);
  session.destroy();
});
