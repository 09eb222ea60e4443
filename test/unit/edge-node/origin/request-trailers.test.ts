// Trailers of a request behind its body, as an origin gets them.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { FieldList } from '../../../../edge-node/decide/fields.ts';
import { Body } from '../../../support/origin-calls.ts';
import { Harness, settled } from './harness.ts';

/** What is written behind the head. */
async function sent(trailers: FieldList, length?: number): Promise<string> {
  const harness = new Harness();
  const body = new Body(length === undefined ? {} : { length });
  body.trailers = trailers;
  body.give('hello');
  body.give(undefined);
  harness.send({ method: 'POST', body });
  harness.socket.connect();
  await settled();
  return harness.socket.written.split('\r\n\r\n').slice(1).join('\r\n\r\n');
}

test('trailers of a request follow the last chunk', async () => {
  const trailers = ['x-sum', '1', 'x-b', '2'];
  assert.equal(await sent(trailers), '5\r\nhello\r\n0\r\nx-sum: 1\r\nx-b: 2\r\n\r\n');
});

test('behind a body whose length was said there is no place for them', async () => {
  assert.equal(await sent(['x-sum', '1'], 5), 'hello');
});

test('what would end a line is left out, and the body has its end all the same', async () => {
  for (const trailers of [
    ['x-sum', '1\r\n\r\nGET / HTTP/1.1'],
    ['x sum', '1'],
  ]) {
    assert.equal(await sent(trailers), '5\r\nhello\r\n0\r\n\r\n');
  }
});
