// Connections under seeded chance: requests cut anywhere, handlers that answer now or later, whole or in parts; and octets that
// make little sense, after which every connection has to end.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ClientPort } from '../../../../edge-node/ports.ts';
import { seededRandom } from '../../../../infra/runtime/random.ts';
import { RequestGenerator } from './generate.ts';
import { Harness, settled } from './harness.ts';

const HEAD = 'HTTP/1.1 200 OK\r\ndate: now\r\n';

test('whatever the cuts and the handlers, each request gets its own answer, in order', async () => {
  const random = seededRandom(7);
  const below = (limit: number) => Math.floor(random.next() * limit);
  for (let round = 0; round < 150; round += 1) {
    let octets = '';
    let expected = '';
    for (let i = 0; i < 1 + below(6); i += 1) {
      const { request, answer } = exchange(below(4), `${round}.${i}.${'d'.repeat(below(3000))}`);
      octets += request;
      expected += answer;
    }
    const harness = new Harness((client) => void serve(client, below(3))).listen();
    for (let at = 0; at < octets.length; ) {
      const size = 1 + below(random.next() < 0.5 ? 20 : 4000);
      harness.send(octets.slice(at, at + size));
      at += size;
      if (random.next() < 0.5) await settled();
    }
    for (let i = 0; i < 50 && harness.received.length < expected.length; i += 1) await settled();
    assert.equal(harness.received, expected, `round ${round}`);
    assert.deepEqual(harness.refused, []);
  }
});

/** A request that carries `data` in its target or its body, and the answer that has it in its body. */
function exchange(kind: number, data: string): { request: string; answer: string } {
  const whole = `${HEAD}content-length: ${data.length}\r\n\r\n${data}`;
  const line = (method: string, target: string) => `${method} ${target} HTTP/1.1\r\nHost: a\r\n`;
  switch (kind) {
    case 0:
      return { request: `${line('GET', `/${data}`)}X: ${data.length}\r\n\r\n`, answer: whole };
    case 1:
      return { request: `${line('HEAD', `/${data}`)}\r\n`, answer: whole.slice(0, -data.length) };
    case 2:
      return { request: `${line('POST', '/')}Content-Length: ${data.length}\r\n\r\n${data}`, answer: whole };
    default: {
      const half = data.length >> 1;
      const chunk = (part: string) => `${part.length.toString(16)}\r\n${part}\r\n`;
      const body = `${chunk(data.slice(0, half))}${chunk(data.slice(half))}0\r\n\r\n`;
      return { request: `${line('PUT', '/')}Transfer-Encoding: chunked\r\n\r\n${body}`, answer: whole };
    }
  }
}

async function serve(client: ClientPort, way: number): Promise<void> {
  let data = client.request.target.slice(1);
  for await (const chunk of client.body?.chunks() ?? []) data += Buffer.from(chunk).toString('latin1');
  const body = Buffer.from(data, 'latin1');
  if (way > 0) await new Promise((resolve) => setImmediate(resolve));
  if (way < 2) {
    client.answer(200, ['date', 'now'], body, body.length);
    return;
  }
  client.begin(200, ['date', 'now'], body.length);
  client.write(body.subarray(0, 1));
  await new Promise((resolve) => setImmediate(resolve));
  client.write(body.subarray(1));
  client.end();
}

test('whatever the octets, a connection ends, and tells of no more requests than it has', async () => {
  const generator = new RequestGenerator(seededRandom(11));
  for (let round = 0; round < 400; round += 1) {
    let open = 0;
    const harness = new Harness((client) => {
      open += 1;
      client.onGone = () => {
        open -= 1;
      };
      void serve(client, round % 3).then(
        () => {
          open -= 1;
        },
        () => undefined,
      );
    }).listen();
    const octets = round % 4 === 0 ? generator.noise(2000) : generator.connection();
    harness.send(octets.toString('latin1', 0, octets.length >> 1));
    await settled();
    harness.client.end(octets.toString('latin1', octets.length >> 1), 'latin1');
    for (let i = 0; i < 20 && !harness.server.destroyed; i += 1) {
      await settled();
      harness.clock.advance(1_000);
    }
    await settled();
    const shown = JSON.stringify(octets.toString('latin1'));
    assert.ok(harness.server.destroyed, shown);
    assert.equal(harness.shared.connections.size, 0, shown);
    assert.equal(open, 0, shown);
  }
});
