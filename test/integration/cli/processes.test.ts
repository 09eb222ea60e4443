// The command as a process: the launcher, a real edge, and what ends them.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { tempFolder } from '../../support/temp.ts';
import { CERTIFICATES, Http2User } from '../../support/tls-edge.ts';
import { until } from '../../support/until.ts';
import { meridian } from './harness.ts';
import { ROOT, readyPorts, start } from './process.ts';

const EXAMPLE = path.join(ROOT, 'docs/examples/cities.yaml');

test('the launcher passes arguments, output and the exit code through', async (t) => {
  const version = await start(t, [path.join(ROOT, 'bin/meridian.js'), '--version']);
  assert.equal(await version.ended, 0);
  const manifest = JSON.parse(await readFile(path.join(ROOT, 'package.json'), 'utf8'));
  assert.deepEqual(version.output, { stdout: `meridian ${manifest.version}\n`, stderr: '' });
  const usage = await start(t, [path.join(ROOT, 'bin/meridian.js'), 'purge', 'url', 'nonsense']);
  assert.equal(await usage.ended, 2);
  assert.match(usage.output.stderr, /"nonsense" cannot be purged/);
});

/** An edge on free ports that serves a configuration file and needs no control plane. */
const edgeArgs = (config: string) => [
  path.join(ROOT, 'cli/main.ts'),
  ...['edge', '--name', 'frankfurt', '--snapshot', config, '--access-log', 'off'],
  ...['--listen', '127.0.0.1:0', '--admin-listen', '127.0.0.1:0'],
];

test('an edge serves what a configuration file declares, tells its parent, and ends with it', async (t) => {
  const origin = createServer((_request, response) => response.end('hello from oslo'));
  await once(origin.listen(0, '127.0.0.1'), 'listening');
  t.after(() => origin.close());
  const { port: originPort } = origin.address() as AddressInfo;
  const folder = await mkdtemp(path.join(tmpdir(), 'meridian-edge-'));
  t.after(() => rm(folder, { recursive: true }));
  const config = path.join(folder, 'one.yaml');
  const location = '{ latitude: 59.9, longitude: 10.7 }';
  await writeFile(
    config,
    `sites: { s: { hostnames: [127.0.0.1], routes: [{ path: /, pool: p }] } }\n` +
      `pools: { p: { origins: { oslo: { address: "http://127.0.0.1:${originPort}", location: ${location} } } } }\n` +
      `edges: { frankfurt: { location: ${location} } }\n`,
  );
  const tls = ['--tls-listen', '127.0.0.1:0', '--certificates', CERTIFICATES];
  const edge = await start(t, [...edgeArgs(config), ...tls], true);
  const { port = 0, adminPort = 0, tlsPort = 0 } = await readyPorts(edge);
  assert.deepEqual(edge.messages, [{ ready: true, port, adminPort, tlsPort }]);
  assert.equal((await fetch(`http://127.0.0.1:${adminPort}/healthz`)).status, 200);
  const answer = await fetch(`http://127.0.0.1:${port}/`);
  assert.equal(await answer.text(), 'hello from oslo');
  // An address is no server name.
  const secure = await new Http2User(tlsPort, '').ask('/', { ':authority': '127.0.0.1' });
  assert.deepEqual([secure.status, secure.body], [200, 'hello from oslo']);
  edge.child.disconnect();
  assert.equal(await edge.ended, 0, edge.output.stderr);
});

test('an edge whose certificates cannot be used does not start, and says which file is at fault', async (t) => {
  const folder = tempFolder(t);
  await writeFile(path.join(folder, 'shop.crt'), 'not a certificate');
  const edge = await start(t, [...edgeArgs(EXAMPLE), '--tls-listen', '127.0.0.1:0', '--certificates', folder]);
  assert.equal(await edge.ended, 1);
  assert.match(
    edge.output.stderr,
    /cannot start: .*shop\.key: cannot be read \(ENOENT\); each NAME\.crt needs its NAME\.key/,
  );
});

test('SIGTERM ends an edge in order', async (t) => {
  const edge = await start(t, edgeArgs(EXAMPLE));
  await until('the edge is ready', () => edge.output.stderr.includes('edge is ready') || edge.child.exitCode !== null);
  edge.child.kill('SIGTERM');
  assert.equal(await edge.ended, 0, edge.output.stderr);
});

test('a configuration that cannot be served is told by line before anything starts', async () => {
  const stdin = 'sites: { s: { hostnames: [a], routes: [{ path: /, pool: nowhere }] } }\n';
  const argv = ['edge', '--name', 'lon', '--snapshot', '-'];
  assert.deepEqual(await meridian(argv, { stdin }), {
    code: 1,
    stdout: '',
    stderr: '<stdin>:1:57: sites.s.routes[0].pool: there is no pool "nowhere"\nnot started\n',
  });
  assert.deepEqual(await meridian(['control-plane', '--bootstrap', '-'], { stdin }), {
    code: 1,
    stdout: '',
    stderr: '<stdin>:1:57: sites.s.routes[0].pool: there is no pool "nowhere"\nnot started\n',
  });
});

const WRONG: readonly (readonly [readonly string[], Record<string, string>, RegExp])[] = [
  [['edge'], {}, /--name is missing/],
  [['edge', 'lon'], {}, /unexpected argument "lon"/],
  [['edge', '--name', 'lon', '--control', 'a'], {}, /--control: expected HOST:PORT .* found "a"/],
  [['edge', '--name', 'lon', '--threads', '0'], {}, /--threads: expected a whole number from 1 to 256, found "0"/],
  [
    ['edge', '--name', 'lon', '--max-client-connections', '1e3'],
    {},
    /--max-client-connections: expected a whole number from 1 to 10000000, found "1e3"/,
  ],
  [['edge', '--name', 'lon', '--cache-bytes', '0'], {}, /--cache-bytes: expected a size such as 256MiB, found "0"/],
  [['edge'], { MERIDIAN_NAME: 'lon', MERIDIAN_LISTEN: '80' }, /MERIDIAN_LISTEN: expected HOST:PORT/],
  [['edge', '--name', 'lon'], { MERIDIAN_CONTROL: 'a:1,b' }, /MERIDIAN_CONTROL: expected HOST:PORT .* found "b"/],
  [['edge', '--name', 'lon', '--tls-listen', '127.0.0.1:0'], {}, /--tls-listen needs --certificates/],
  [['edge', '--name', 'lon', '--certificates', '.'], {}, /--certificates needs --tls-listen/],
  [['edge', '--name', 'lon', '--tls-listen', 'x', '--certificates', '.'], {}, /--tls-listen: expected HOST:PORT/],
  [
    ['edge', '--name', 'lon', '--log-level', 'loud'],
    {},
    /--log-level: expected one of debug, info, warn, error, silent/,
  ],
  [['control-plane', '--store', 'files'], {}, /--store: expected one of embedded, etcd, found "files"/],
  [['control-plane', '--store', 'etcd'], {}, /--store etcd needs --etcd ENDPOINTS/],
  [['control-plane', '--etcd', 'http://a:1'], {}, /--etcd needs --store etcd/],
  [['control-plane'], { MERIDIAN_STORE: 'etcd', MERIDIAN_ETCD: 'http://a:1,b:2' }, /MERIDIAN_ETCD: .* found "b:2"/],
  [['control-plane', '--listen', 'x'], {}, /--listen: expected HOST:PORT/],
  [['control-plane', '--http-listen', 'x'], {}, /--http-listen: expected HOST:PORT/],
  [['control-plane'], { MERIDIAN_INSECURE: 'yes' }, /MERIDIAN_INSECURE: expected true or false, found "yes"/],
];

test('options that cannot be meant start nothing: exit code 2', async () => {
  for (const [argv, env, message] of WRONG) {
    const ended = await meridian(argv, { env });
    assert.deepEqual([ended.code, ended.stdout], [2, ''], argv.join(' '));
    assert.match(ended.stderr, message);
  }
});

test('a secret that cannot be read, or is none, starts no edge and is not repeated', async (t) => {
  const folder = tempFolder(t);
  const short = path.join(folder, 'short');
  writeFileSync(short, 'hunter2\n');
  const missing = path.join(folder, 'missing');
  const base = ['edge', '--name', 'lon', '--data', path.join(folder, 'data'), '--debug-token-file'];
  const unread = await meridian([...base, missing]);
  assert.deepEqual([unread.code, unread.stdout], [1, '']);
  assert.match(unread.stderr, /--debug-token-file: .*missing cannot be read \(ENOENT\)/);
  const bad = await meridian([...base, short]);
  assert.deepEqual([bad.code, bad.stdout], [1, '']);
  assert.match(bad.stderr, /short holds no secret: expected one line of 32 to 256 /);
  assert.doesNotMatch(bad.stderr, /hunter2/);
});
