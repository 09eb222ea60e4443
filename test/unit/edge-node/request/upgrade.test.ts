// Which requests may end in a tunnel, and which trailers go on.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { passableRequestTrailers, passableTrailers, takesTrailers } from '../../../../edge-node/decide/trailers.ts';
import { asksForWebSocket } from '../../../../edge-node/decide/upgrade.ts';
import { head } from './support.ts';

const UPGRADE = ['connection', 'keep-alive, Upgrade', 'upgrade', 'WebSocket'];

test('a GET in HTTP/1.1 that names WebSocket, in Connection as well, asks for a tunnel', () => {
  assert.equal(asksForWebSocket(head({}, UPGRADE)), true);
  assert.equal(asksForWebSocket(head({}, ['upgrade', 'websocket', 'connection', 'x', 'connection', 'upgrade'])), true);
});

test('nothing else does', () => {
  for (const protocol of ['h2c', 'websocket, h2c', 'h2c, websocket', 'websocket/13', '', 'TLS/1.0']) {
    assert.equal(asksForWebSocket(head({}, ['connection', 'upgrade', 'upgrade', protocol])), false, protocol);
  }
  assert.equal(asksForWebSocket(head({}, [...UPGRADE, 'upgrade', 'h2c'])), false);
  assert.equal(asksForWebSocket(head({}, ['upgrade', 'websocket'])), false);
  assert.equal(asksForWebSocket(head({}, ['upgrade', 'websocket', 'connection', 'upgrades'])), false);
  assert.equal(asksForWebSocket(head({ method: 'POST' }, UPGRADE)), false);
  assert.equal(asksForWebSocket(head({ method: 'HEAD' }, UPGRADE)), false);
  assert.equal(asksForWebSocket(head({ version: '1.0' }, UPGRADE)), false);
  assert.equal(asksForWebSocket(head({ version: '2' }, UPGRADE)), false);
  assert.equal(asksForWebSocket(head({ hasBody: true }, UPGRADE)), false);
  assert.equal(asksForWebSocket(head()), false);
});

test('a client takes trailers when it says so', () => {
  for (const value of ['trailers', 'Trailers', 'gzip;q=0.5, trailers'])
    assert.equal(takesTrailers(['te', value]), true);
  for (const value of ['', 'gzip', 'trailersx', 'trailer']) assert.equal(takesTrailers(['te', value]), false, value);
  assert.equal(takesTrailers(['te', 'gzip', 'te', 'trailers']), true);
  assert.equal(takesTrailers(['trailer', 'trailers']), false);
});

test('what a client would act on as if it had come before the body is dropped, and the rest stays in order', () => {
  const dropped = [
    ...['transfer-encoding', 'content-length', 'host', 'cache-control', 'set-cookie', 'authorization', 'content-type'],
    ...['content-encoding', 'content-range', 'trailer', 'connection', 'location', 'vary', 'age', 'expires', 'date'],
    ...[
      'server',
      'via',
      'cdn-loop',
      'cache-status',
      'proxy-status',
      'access-control-allow-origin',
      'sec-x',
      'x-forwarded-for',
    ],
  ];
  const kept = ['x-checksum', '1', 'etag', '"a"', 'grpc-status', '0', 'server-timing', 'a', 'x-checksum', '2'];
  assert.deepEqual(passableTrailers([...dropped.flatMap((name) => [name, 'x']), ...kept], []), kept);
  assert.deepEqual(passableTrailers(kept, ['connection', 'close, X-Checksum']), kept.slice(2, -2));
  assert.deepEqual(passableTrailers([], []), []);
});

test('of a request’s trailers none passes that would not have passed as a field of the head', () => {
  const dropped = [
    'x-real-ip',
    'x-http-method-override',
    'x-original-url',
    'x_checksum',
    'cookie',
    'host',
    'te',
    'via',
  ];
  const kept = ['x-checksum', '1', 'content-digest', 'sha-256=:a:', 'x-checksum', '2'];
  assert.deepEqual(passableRequestTrailers([...dropped.flatMap((name) => [name, 'x']), ...kept], []), kept);
  assert.deepEqual(passableRequestTrailers(kept, ['connection', 'Content-Digest']), [
    ...kept.slice(0, 2),
    ...kept.slice(4),
  ]);
  assert.deepEqual(passableRequestTrailers([], []), []);
});
