// Reads into one buffer work with the sockets of the Node.js release that is pinned. Where they do not, an edge still serves, but
// each hit costs it a fifth more: that should not come unnoticed with another release.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import net, { type AddressInfo, type Socket } from 'node:net';
import path from 'node:path';
import { duplexPair } from 'node:stream';
import { type TestContext, test } from 'node:test';
import tls from 'node:tls';
import { ReadBuffer } from '../../../edge-node/io/read-buffer.ts';
import { CERTIFICATES } from '../../support/tls-edge.ts';
import { until } from '../../support/until.ts';

const kinds = ['net', 'tls'] as const;

async function connected(t: TestContext, kind: (typeof kinds)[number]): Promise<{ client: Socket; server: Socket }> {
  const pem = (extension: string) => readFileSync(path.join(CERTIFICATES, `demo.${extension}`));
  const certificate = kind === 'tls' ? { cert: pem('crt'), key: pem('key') } : undefined;
  const options = { allowHalfOpen: true };
  const server = certificate ? tls.createServer({ ...options, ...certificate }) : net.createServer(options);
  const accepted = once(server, certificate ? 'secureConnection' : 'connection');
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const plain = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  const client = certificate ? tls.connect({ socket: plain, rejectUnauthorized: false }) : plain;
  const [socket] = (await accepted) as [Socket];
  t.after(() => {
    client.destroy();
    socket.destroy();
    server.close();
  });
  return { client, server: socket };
}

for (const kind of kinds) {
  test(`${kind}: what is read stands in the buffer, and pausing, resuming and the end are as ever`, async (t) => {
    const reads = new ReadBuffer();
    const { client, server } = await connected(t, kind);
    let received = '';
    let ended = false;
    server.on('data', () => assert.fail('"data" although reads go into the buffer'));
    server.on('end', () => {
      ended = true;
    });
    const onRead = (octets: number) => {
      received += reads.octets.toString('latin1', 0, octets);
    };
    assert.ok(reads.readInto(server, onRead), 'not with this release of Node.js');
    client.write('one');
    await until('the first octets', () => received === 'one');
    server.pause();
    client.write(' two');
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(received, 'one');
    server.resume();
    client.end(' three');
    await until('the end', () => ended);
    assert.equal(received, 'one two three');
    client.resume();
    server.end('bye');
    await once(client, 'end');
  });
}

test('a stream that is no socket is left to its "data" events', () => {
  assert.equal(
    new ReadBuffer().readInto(duplexPair()[0], () => undefined),
    false,
  );
});
