// Fifty megabytes each way, past someone who is slow: what is on its way, and so in memory, stays within what sockets buffer.
import assert from 'node:assert/strict';
import http from 'node:http';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { startEdge, startOrigin } from '../../support/edge.ts';
import { RawClient, request } from '../../support/raw-client.ts';
import { until } from '../../support/until.ts';

const TOTAL = 50 * 1024 * 1024;
const CHUNK = Buffer.alloc(64 * 1024, 'x');
/** What the kernel's and Node's buffers of two connections hold at most. */
const BUFFERED = 16 * 1024 * 1024;

/** Bytes that the origin has written so far, and has read. */
let written = 0;
let read = 0;
/** What the origin reads, once the test lets it. */
let upload: http.IncomingMessage | undefined;

const origin = await startOrigin((req, res) => {
  if (req.method === 'POST') {
    upload = req;
    req.on('end', () => res.end(String(read)));
    return;
  }
  res.writeHead(200, { 'content-length': TOTAL });
  const more = (): void => {
    while (written < TOTAL) {
      written += CHUNK.length;
      if (!res.write(CHUNK)) {
        res.once('drain', more);
        return;
      }
    }
    res.end();
  };
  more();
});
const edge = await startEdge({ london: origin.address });

/** Waits until `count` has stopped growing. */
async function settled(count: () => number): Promise<number> {
  for (let last = -1, same = 0; same < 20; ) {
    await setImmediate();
    same = count() === last ? same + 1 : 0;
    last = count();
  }
  return count();
}

test('a client that does not read holds the origin back, and gets every byte when it does', async () => {
  const response = await new Promise<http.IncomingMessage>((resolve) => {
    http.get({ port: edge.port, host: '127.0.0.1', path: '/', headers: { host: 'demo.example' } }, resolve);
  });
  await until('the beginning', () => written > 0);
  const stalled = await settled(() => written);
  assert.ok(stalled < BUFFERED, `the origin wrote ${stalled} bytes to a client that reads nothing`);
  let length = 0;
  let most = 0;
  response.on('data', (chunk: Buffer) => {
    length += chunk.length;
    most = Math.max(most, written - length);
  });
  await new Promise((resolve) => response.on('end', resolve));
  assert.equal(length, TOTAL);
  assert.ok(most < BUFFERED, `${most} bytes were on their way at once`);
  assert.deepEqual([edge.ends, edge.cache.stats().objects], [['complete'], 0]);
});

test('an origin that does not read holds the client back, and gets every byte when it does', async () => {
  const client = await RawClient.connect(edge.port);
  client.send(request('POST', '/', `Content-Length: ${TOTAL}`));
  let sent = 0;
  const more = (): void => {
    while (sent < TOTAL) {
      sent += CHUNK.length;
      if (!client.socket.write(CHUNK)) {
        client.socket.once('drain', more);
        return;
      }
    }
  };
  more();
  await until('the request', () => upload !== undefined);
  const stalled = await settled(() => sent);
  assert.ok(stalled < BUFFERED, `the client wrote ${stalled} bytes to an origin that reads nothing`);
  let most = 0;
  upload?.on('data', (chunk: Buffer) => {
    read += chunk.length;
    most = Math.max(most, sent - read);
  });
  assert.equal((await client.response('POST')).body, String(TOTAL));
  assert.ok(most < BUFFERED, `${most} bytes were on their way at once`);
  client.destroy();
});
