// The command, a real control plane and a real edge: what a file declares is served, asked about, purged and read back.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { tempFolder } from '../../support/temp.ts';
import { until } from '../../support/until.ts';
import { meridian } from './harness.ts';
import { ROOT, readyPorts, start } from './process.ts';

const MAIN = path.join(ROOT, 'cli/main.ts');
const LOCATION = '{ latitude: 51.5, longitude: -0.1 }';

async function startOrigin(t: TestContext): Promise<number> {
  const origin = createServer((request, response) => {
    const control = request.url?.endsWith('/private') ? 'private' : 'max-age=60';
    response.setHeader('cache-control', control).end('hello');
  });
  await once(origin.listen(0, '127.0.0.1'), 'listening');
  t.after(() => origin.close());
  return (origin.address() as AddressInfo).port;
}

const config = (originPort: number) => `sites:
  demo: { hostnames: [127.0.0.1], routes: [{ path: /, pool: cities }] }
pools:
  cities:
    origins:
      london: { address: "http://127.0.0.1:${originPort}", location: ${LOCATION} }
edges:
  lon: { location: ${LOCATION}, trustedProxies: [127.0.0.0/8] }
  par: { location: { latitude: 48.9, longitude: 2.4 } }
`;

test('a file is applied, served, explained, purged and read back', async (t) => {
  const plane = await start(
    t,
    [MAIN, 'control-plane', '--listen', '127.0.0.1:0', '--admin-listen', '127.0.0.1:0', '--log-level', 'warn'],
    true,
  );
  const { edgePort, adminPort } = await readyPorts(plane);
  const env = { MERIDIAN_ADMIN: `127.0.0.1:${adminPort}` };
  const stdin = config(await startOrigin(t));
  const apply = ['apply', '-f', '-'];

  const wrong = await meridian(apply, { env, stdin: stdin.replace('pool: cities', 'pool: citys') });
  assert.deepEqual(wrong, {
    code: 1,
    stdout: '',
    stderr: '<stdin>:2:61: sites.demo.routes[0].pool: there is no pool "citys"\nnothing was changed\n',
  });
  const empty = JSON.parse((await meridian(['get', '--json'], { env })).stdout);
  assert.deepEqual([empty.sites, empty.pools, empty.edges], [{}, {}, {}]);

  assert.match((await meridian(apply, { env, stdin })).stdout, /^created site demo\n/m);
  const got = await meridian(['get'], { env });
  const again = await meridian(apply, { env, stdin: got.stdout });
  assert.match(again.stdout, /^nothing to change; /, 'what get prints is what is there');

  const edge = await start(
    t,
    [
      ...[MAIN, 'edge', '--name', 'lon', '--control', `127.0.0.1:${edgePort}`, '--access-log', 'off'],
      ...['--listen', '127.0.0.1:0', '--admin-listen', '127.0.0.1:0', '--log-level', 'warn'],
      ...['--cache-dir', tempFolder(t)],
    ],
    true,
  );
  const { port } = await readyPorts(edge);
  const url = `http://127.0.0.1:${port}/a`;
  const status = async () => JSON.parse((await meridian(['status', '--json'], { env })).stdout);
  await until('the edge serves this version', async () => (await status()).edges[0].state === 'current');
  const cached = async () => (await fetch(url)).headers.get('cache-status') ?? '';
  assert.match(await cached(), /fwd=(?:uri-)?miss/);
  assert.match(await cached(), /; *hit/);

  const explained = await meridian(['explain', url, '--ip', '81.2.69.142'], { env });
  assert.match(explained.stdout, /^At edge lon /m);
  assert.match(explained.stdout, /^ {2}cache {3}fresh; age /m);
  assert.match(explained.stdout, /^\* london /m);
  const stored = /^ {2}stored {2}200, 5 bytes, in memory and on disk, for any request; fresh; this one answers$/m;
  await until('it is on disk', async () =>
    stored.test((await meridian(['explain', url, '--ip', '81.2.69.142'], { env })).stdout),
  );
  assert.match(explained.stdout, /^ {10}age .* s = .* s when it came \+ .* s here; lifetime - age = /m);
  await fetch(`${url}/private`);
  const skipped = JSON.parse((await meridian(['explain', `${url}/private`, '--ip', '::1', '--json'], { env })).stdout);
  const { state, notStored } = skipped.explanations[0].cache;
  assert.deepEqual([state, notStored.reason], ['absent', 'private'], 'one thread tells why another did not store it');

  const purge = await meridian(['purge', 'url', url, '--timeout', '2s'], { env });
  assert.equal(purge.code, 3, 'par never came');
  assert.match(purge.stdout, /^ {2}lon +ACKED +[\d.]+ ms$/m);
  assert.match(purge.stdout, /^purged on 1 of 2 edges$/m);
  assert.match(purge.stderr, /^par: gone; .* replay the purge before it serves from its cache$/m);
  assert.doesNotMatch(await cached(), /; *hit/);

  const waited = await meridian([...apply, '--prune', '--wait', '--timeout', '2s'], {
    env,
    stdin: stdin.replace(/ {2}par:.*\n/, ''),
  });
  assert.equal(waited.code, 0, waited.stdout + waited.stderr);
  assert.match(waited.stdout, /^deleted edge par\n[\s\S]*^served by 1 of 1 edge$/m);

  edge.child.kill('SIGTERM');
  assert.equal(await edge.ended, 0, edge.output.stderr);
  assert.equal((await status()).edges[0].state, 'gone');
  plane.child.kill('SIGTERM');
  assert.equal(await plane.ended, 0, plane.output.stderr);
});
