// Origins behind TLS: whose certificate is taken, by which name they are asked, and that sessions are resumed.
import assert from 'node:assert/strict';
import type { LookupAddress } from 'node:dns';
import { readFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import path from 'node:path';
import { after, test } from 'node:test';
import { TLSSocket } from 'node:tls';
import { compileSnapshot } from '../../../edge-node/decide/compile.ts';
import { guardedLookup } from '../../../edge-node/io/guarded-lookup.ts';
import { OriginClient } from '../../../edge-node/io/origin/client.ts';
import { connector } from '../../../edge-node/io/origin/connector.ts';
import { systemClock } from '../../../infra/runtime/clock.ts';
import { Body, Recorder, rawOrigin } from '../../support/origin-calls.ts';
import { poolOf, snapshotOf } from '../../support/snapshots.ts';
import { CERTIFICATES } from '../../support/tls-edge.ts';
import { until } from '../../support/until.ts';

const read = (name: string): string => readFileSync(path.join(CERTIFICATES, name), 'utf8');
const DEMO = { cert: read('demo.crt'), key: read('demo.key') };
const GET = { method: 'GET', target: '/', fields: ['host', 'demo.example'], body: undefined };
const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello';

/** Every name is at 127.0.0.1. */
const lookup = guardedLookup((_name, _options, answer) => {
  const address: LookupAddress = { address: '127.0.0.1', family: 4 };
  setImmediate(answer, null, [address]);
});

/** Asks the origin at `port`, which goes by `name`. */
function asker(name: string, port: number, ca?: string) {
  const client = new OriginClient({
    clock: systemClock,
    connector: (address) => connector(address, { lookup, ...(ca !== undefined && { ca }) }),
    suspect: () => undefined,
  });
  after(() => client.close());
  const pool = poolOf({ london: `https://${name}:${port}` });
  const snapshot = compileSnapshot({ ...snapshotOf(1), pools: [pool] }, 'edge-1');
  client.use(snapshot);
  const origin = snapshot.pools[0]?.origins[0] ?? assert.fail();
  return async (request: Parameters<typeof client.send>[1] = GET): Promise<Recorder> => {
    const recorder = new Recorder();
    client.send(origin, request, recorder);
    await recorder.over();
    return recorder;
  };
}

async function secureOrigin(answer: (socket: Socket, text: string) => void) {
  const raw = await rawOrigin(answer, { secure: DEMO });
  return { raw, port: Number(new URL(raw.address).port) };
}

test('an origin is asked by its name, in HTTP/1.1, and the connection serves the next request', async () => {
  const { raw, port } = await secureOrigin((socket) => socket.write(OK));
  const ask = asker('demo.example', port, DEMO.cert);
  for (let i = 0; i < 2; i += 1) assert.equal((await ask()).body, 'hello');
  const [socket] = raw.sockets;
  assert.ok(socket instanceof TLSSocket && raw.sockets.length === 1);
  assert.deepEqual([socket.servername, socket.alpnProtocol], ['demo.example', false]);
});

test('a certificate of another name, or of an authority that nobody knows, gets no request', async () => {
  const { raw, port } = await secureOrigin((socket) => socket.write(OK));
  const otherName = await asker('other.example', port, DEMO.cert)();
  const unknown = await asker('demo.example', port)();
  assert.deepEqual(
    [otherName.events, unknown.events],
    [['connect origin-unreachable'], ['connect origin-unreachable']],
  );
  assert.match(otherName.failure?.detail ?? '', /ERR_TLS_CERT_ALTNAME_INVALID/);
  assert.match(unknown.failure?.detail ?? '', /SELF_SIGNED/);
  assert.equal(raw.text, '');
});

test('a port that does not speak TLS is unreachable', async () => {
  const raw = await rawOrigin((socket) => socket.write('HTTP/1.1 400 Bad Request\r\n\r\n'));
  const { events } = await asker('demo.example', Number(new URL(raw.address).port), DEMO.cert)();
  assert.deepEqual(events, ['connect origin-unreachable']);
});

test('a new connection resumes the session of an old one', async () => {
  const resumed: boolean[] = [];
  const { port } = await secureOrigin((socket) => {
    resumed.push(socket instanceof TLSSocket && socket.isSessionReused());
    socket.end('HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello');
  });
  const ask = asker('demo.example', port, DEMO.cert);
  for (let i = 0; i < 3; i += 1) assert.equal((await ask()).body, 'hello');
  assert.deepEqual(resumed, [false, true, true]);
});

test('bodies of any length go both ways unchanged', async () => {
  const lines = Array.from({ length: 60 }, (_, i) => `${i} `.repeat(20_000));
  const whole = lines.join('');
  let tail = '';
  const { raw, port } = await secureOrigin((socket, text) => {
    tail = (tail + text).slice(-5);
    if (tail === '0\r\n\r\n') socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${whole.length}\r\n\r\n${whole}`);
  });
  const ask = asker('demo.example', port, DEMO.cert);
  const { body, events } = await ask({ ...GET, method: 'POST', body: Body.of(...lines) });
  const sent = raw.text.slice(raw.text.indexOf('\r\n\r\n') + 4);
  const chunks = lines.map((line) => `${line.length.toString(16)}\r\n${line}\r\n`).join('');
  assert.deepEqual([events, body === whole, sent === `${chunks}0\r\n\r\n`], [['200', 'end'], true, true]);
});

test('an origin that vanishes in the handshake is unreachable', async () => {
  const raw = await rawOrigin((socket) => socket.destroy());
  const { events } = await asker('demo.example', Number(new URL(raw.address).port), DEMO.cert)();
  assert.deepEqual(events, ['connect origin-unreachable']);
  await until('the connections to be closed', () => raw.sockets.every(({ destroyed }) => destroyed));
});
