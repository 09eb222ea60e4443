// Edges as processes under load: one that ends, and one whose place another takes, without a request lost.
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { field } from '../../../edge-node/decide/fields.ts';
import { isAlive } from '../../support/command.ts';
import { startOrigin } from '../../support/edge.ts';
import { Load } from '../../support/load.ts';
import { RawClient, request } from '../../support/raw-client.ts';
import { tempFolder } from '../../support/temp.ts';
import { until } from '../../support/until.ts';
import { ROOT, type Started, start } from '../cli/process.ts';

const slow: (() => void)[] = [];
const origin = await startOrigin((req, res) => {
  if (req.url?.startsWith('/slow')) {
    res.write('slow ');
    slow.push(() => res.end('answer'));
    return;
  }
  res.writeHead(200, { 'cache-control': 'max-age=600', 'content-length': 6 });
  res.end('answer');
});

interface Running {
  readonly process: Started;
  readonly port: number;
  readonly adminPort: number;
  readonly folder: string;
  /** Runs the command with `more` options to its end. */
  takeOver(...more: string[]): Promise<{ code: number | null; stdout: string; stderr: string }>;
}

/** An edge of two threads, by a configuration file. */
async function run(t: TestContext, ...more: string[]): Promise<Running> {
  const folder = tempFolder(t);
  const location = '{ latitude: 59.9, longitude: 10.7 }';
  writeFileSync(
    path.join(folder, 'edge.yaml'),
    `sites: { s: { hostnames: [demo.example], routes: [{ path: /, pool: p }] } }\n` +
      `pools: { p: { origins: { oslo: { address: "${origin.address}", location: ${location} } } } }\n` +
      `edges: { e: { location: ${location} } }\n`,
  );
  const args = [
    path.join(ROOT, 'cli/main.ts'),
    ...['edge', '--name', 'e', '--snapshot', path.join(folder, 'edge.yaml'), '--data', path.join(folder, 'data')],
    ...['--listen', '127.0.0.1:0', '--admin-listen', '127.0.0.1:0', '--threads', '2'],
  ];
  const process = await start(t, [...args, '--access-log', path.join(folder, 'access.log'), ...more]);
  const line = /"port":(\d+),"adminPort":(\d+).*"edge is ready"/;
  await until('the edge is ready', () => line.test(process.output.stderr) || process.child.exitCode !== null);
  const [, port, adminPort] = line.exec(process.output.stderr) ?? assert.fail(process.output.stderr);
  return {
    process,
    port: Number(port),
    adminPort: Number(adminPort),
    folder,
    async takeOver(...options) {
      const log = ['--access-log', path.join(folder, 'access.log')];
      const asker = await start(t, [...args, ...log, '--take-over', ...options]);
      const code = await asker.ended;
      return { code, ...asker.output };
    },
  };
}

const load = (port: number) =>
  new Load({ port, keeping: 6, connecting: 6, pauseMs: 30, target: '/kept', body: 'answer' });

test('an edge that is ended answers what it was asked, and closes kept connections when they are quiet', async (t) => {
  const { process, port, folder } = await run(t);
  const [asking, quiet, sending] = await Promise.all([1, 2, 3].map(() => RawClient.connect(port)));
  assert.ok(asking && quiet && sending);
  asking.send(request('GET', '/slow/1'));
  await until('the request is at the origin', () => slow.length === 1);
  for (const client of [quiet, sending]) await client.ask(request('GET', '/kept'));
  process.child.kill('SIGTERM');
  // A connection that was used a moment ago takes one more request, and says that it is the last.
  const last = await sending.ask(request('GET', '/kept'));
  assert.equal(last.body, 'answer');
  await quiet.closed();
  await until('no connection is accepted', async () => {
    const late = await RawClient.connect(port);
    late.destroy();
    return late.isClosed || late.socket.errored !== null;
  });
  slow.shift()?.();
  assert.equal((await asking.response()).body, 'slow answer');
  assert.equal(await process.ended, 0, process.output.stderr);
  const lines = readFileSync(path.join(folder, 'access.log'), 'utf8').trimEnd().split('\n');
  assert.equal(lines.length, 4);
});

test('under load, another process takes the place of an edge again and again, and no request is lost', async (t) => {
  const pids: number[] = [];
  // First of all: the test waits for whoever has the first one's output.
  t.after(() => {
    for (const pid of pids) if (isAlive(pid)) process.kill(pid, 'SIGKILL');
  });
  const edge = await run(t);
  const clients = load(edge.port);
  t.after(() => clients.stop());
  for (const threads of ['3', '1']) {
    await wait(300);
    const { code, stdout, stderr } = await edge.takeOver('--threads', threads);
    assert.equal(code, 0, stderr + edge.process.output.stderr);
    pids.push(Number(/^edge e is served by process (\d+) now\n$/.exec(stdout)?.[1]));
    const ready = (await (await fetch(`http://127.0.0.1:${edge.adminPort}/readyz`)).json()) as { ready: boolean };
    assert.equal(ready.ready, true);
    await wait(300);
  }
  await clients.stop();
  assert.deepEqual(clients.failures, []);
  t.diagnostic(`${clients.answered} requests over ${clients.connections} connections`);
  assert.ok(clients.answered > 200);
  // Its output is not closed: the others write there, too.
  await until('the first ends', () => edge.process.child.exitCode !== null);
  assert.equal(edge.process.child.exitCode, 0);
  const last = pids.at(-1) ?? 0;
  await until('only the last is left', () => pids.every((pid) => pid === last || !isAlive(pid)));
  process.kill(last, 'SIGTERM');
  assert.equal(await edge.process.ended, 0);
  // Several threads of several processes wrote it.
  const lines = readFileSync(path.join(edge.folder, 'access.log'), 'utf8').trimEnd().split('\n');
  assert.equal(lines.length, clients.answered);
  for (const line of lines) assert.equal((JSON.parse(line) as { status: number }).status, 200);
});

test('a new process that cannot start changes nothing, and whoever asked is told why', async (t) => {
  const edge = await run(t);
  const folder = path.join(edge.folder, 'certificates');
  mkdirSync(folder);
  const kept = await RawClient.connect(edge.port);
  const bad = await edge.takeOver('--tls-listen', '127.0.0.1:0', '--certificates', folder);
  assert.equal(bad.code, 1);
  assert.match(bad.stderr, /nothing is taken over: .*certificates: no NAME\.crt is in it/);
  for (const client of [kept, await RawClient.connect(edge.port)]) {
    const answer = await client.ask(request('GET', '/kept'));
    assert.deepEqual([answer.status, answer.body, answer.fields.includes('close')], [200, 'answer', false]);
  }
  kept.destroy();
});

test('a cache on disk is the new process\u2019s when the old one has ended, and nobody waits for that', async (t) => {
  const pids: number[] = [];
  t.after(() => {
    for (const pid of pids) if (isAlive(pid)) process.kill(pid, 'SIGKILL');
  });
  const cacheDir = path.join(tempFolder(t), 'cache');
  const options = ['--cache-dir', cacheDir, '--cache-disk-bytes', '64MiB'];
  const edge = await run(t, ...options);
  const objects = async () => {
    const text = await (await fetch(`http://127.0.0.1:${edge.adminPort}/metrics`)).text();
    return /^meridian_disk_cache_objects (\d+)$/m.exec(text)?.[1];
  };
  const client = await RawClient.connect(edge.port);
  for (const target of ['/kept', '/left']) await client.ask(request('GET', target));
  await until('both are on disk', async () => (await objects()) === '2');
  client.send(request('GET', '/slow/disk'));
  await until('the request is at the origin', () => slow.length === 1);
  const { code, stdout, stderr } = await edge.takeOver(...options);
  assert.equal(code, 0, stderr + edge.process.output.stderr);
  pids.push(Number(/process (\d+) now/.exec(stdout)?.[1]));
  // The old one is still answering, and has the folder.
  assert.equal(await objects(), undefined);
  const next = await RawClient.connect(edge.port);
  assert.equal((await next.ask(request('GET', '/kept'))).body, 'answer');
  slow.shift()?.();
  assert.equal((await client.response()).body, 'slow answer');
  await until('the disk cache is open, with what has not come anew', async () => (await objects()) === '1');
  const left = await next.ask(request('GET', '/left'));
  assert.equal(left.body, 'answer');
  assert.match(field(left.fields, 'cache-status') ?? '', /; hit/);
  assert.equal((await next.ask(request('GET', '/kept?new'))).body, 'answer');
  await until('the new process stores there', async () => (await objects()) === '2');
  next.destroy();
  for (const pid of pids) process.kill(pid, 'SIGTERM');
  assert.equal(await edge.process.ended, 0);
});
