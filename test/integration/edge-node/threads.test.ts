// An edge with real worker threads: what one of them knows, all of them know; and what becomes of one that dies.
import assert from 'node:assert/strict';
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import type tls from 'node:tls';
import { field } from '../../../edge-node/decide/fields.ts';
import { PULSE_MS } from '../../../edge-node/io/threads/supervisor.ts';
import { askForTakeOver } from '../../../edge-node/main.ts';
import { type Clock, systemClock } from '../../../infra/runtime/clock.ts';
import { startOrigin } from '../../support/edge.ts';
import { nestedRecord } from '../../support/geo-records.ts';
import { writeMmdb } from '../../support/mmdb-writer.ts';
import { type RawClient, request } from '../../support/raw-client.ts';
import { tempFolder } from '../../support/temp.ts';
import { demo, Node } from '../../support/threads.ts';
import { CERTIFICATES, connectTls } from '../../support/tls-edge.ts';
import { until } from '../../support/until.ts';

let answers = 0;
/** Answers each request with another body, to be kept for a while. */
const origin = await startOrigin((req, res) => {
  if (req.url === '/health') {
    res.end();
    return;
  }
  answers += 1;
  res.writeHead(200, { 'cache-control': 'max-age=600' });
  res.end(`london ${answers}`);
});
const other = await startOrigin((_req, res) => res.end('paris'));
const ORIGINS = { london: origin.address };

async function ask(client: RawClient, target: string, ...lines: string[]): Promise<{ body: string; hit: boolean }> {
  const answer = await client.ask(request('GET', target, ...lines));
  assert.equal(answer.status, 200);
  return { body: answer.body, hit: (field(answer.fields, 'cache-status') ?? '').includes('; hit') };
}

test('requests come to all threads, and what one of them stored is a hit for the other', async (t) => {
  const node = await Node.start(t, demo(1, ORIGINS));
  const [one, two] = [await node.clientOf(1), await node.clientOf(2)];
  const first = await ask(one, '/shared');
  assert.equal(first.hit, false);
  for (const client of [two, one, two, two, one]) {
    assert.deepEqual(await ask(client, '/shared'), { body: first.body, hit: true });
  }
  assert.equal(await node.metric('meridian_requests_total{cache="hit",site="demo"}'), 5);
  assert.equal(await node.metric('meridian_requests_total{cache="miss",site="demo"}'), 1);
  assert.equal(await node.metric('meridian_cache_objects'), 1);
  assert.equal(await node.metric('meridian_cache_site_objects{site="demo"}'), 1);
  assert.equal(await node.metric('meridian_cache_site_bytes{site="demo"}'), await node.metric('meridian_cache_bytes'));
  assert.equal(await node.metric('meridian_cache_site_objects{site="(other)"}'), 0);
  assert.equal(await node.metric('meridian_threads'), 2);
});

test('a purge holds for all threads when it is acknowledged', async (t) => {
  const node = await Node.start(t, demo(1, ORIGINS));
  const clients = [await node.clientOf(1), await node.clientOf(2)];
  for (const asked of [0, 1, 0, 1]) {
    // Often enough for each to keep it.
    for (const client of [...clients, ...clients, ...clients]) await ask(client, '/purged');
    const before = answers;
    await node.purge({ $case: 'url', value: { host: 'demo.example', path: '/purged' } });
    const client = clients[asked];
    assert.ok(client);
    assert.deepEqual(await ask(client, '/purged'), { body: `london ${before + 1}`, hit: false });
  }
});

test('a snapshot is acknowledged when all threads serve by it', async (t) => {
  const node = await Node.start(t, demo(1, ORIGINS));
  const clients = [await node.clientOf(1), await node.clientOf(2)];
  for (const [revision, address, body] of [
    [2, other.address, /paris/],
    [3, origin.address, /london/],
    [4, other.address, /paris/],
  ] as const) {
    await node.apply(demo(revision, { somewhere: address }));
    for (const [index, client] of clients.entries()) {
      assert.match((await ask(client, `/${revision}/${index}`)).body, body);
    }
  }
  assert.equal(await node.metric('meridian_snapshot_revision'), 4);
});

test('a thread that dies takes its connections along, and nothing else; another takes its place', async (t) => {
  const node = await Node.start(t, demo(1, ORIGINS));
  const kept = await node.clientOf(2);
  const { body } = await ask(await node.clientOf(1), '/kept');
  for (const [deaths, fault] of [
    [1, 'throw'],
    [2, 'exit'],
  ] as const) {
    const lost = await node.clientOf(1);
    await ask(lost, '/kept');
    const counted = await node.metric('meridian_requests_total{cache="hit",site="demo"}');
    node.fail(1, fault);
    await lost.closed();
    await until('the death', async () => (await node.metric('meridian_thread_deaths_total')) === deaths);
    assert.deepEqual(await ask(kept, '/kept'), { body, hit: true });
    // What it had counted still counts.
    assert.equal(await node.metric('meridian_requests_total{cache="hit",site="demo"}'), counted + 1);
    await until('the death to be noticed', async () => (await node.metric('meridian_thread_deaths_total')) === deaths);
    await until('another in its place', async () => (await node.metric('meridian_threads')) === 2);
    const late = await node.clientOf(1);
    assert.deepEqual(await ask(late, '/kept'), { body, hit: true });
  }
  // A newcomer has the purges and the snapshots of those before it, and those that come.
  await node.purge({ $case: 'all', value: {} });
  const newcomer = await node.clientOf(1);
  assert.equal((await ask(newcomer, '/kept')).hit, false);
  await node.apply(demo(2, { paris: other.address }));
  assert.equal((await ask(newcomer, '/new')).body, 'paris');
  assert.equal((await ask(kept, '/new')).body, 'paris');
});

test('a thread that runs out of memory, or hangs, is replaced, and its connections alone are lost', async (t) => {
  // So that it is looked four times as often whether a thread hangs.
  const clock: Clock = { ...systemClock, every: (ms, fn) => systemClock.every(ms / 4, fn) };
  const node = await Node.start(t, demo(1, ORIGINS), { threadHeapMib: 64, clock });
  const kept = await node.clientOf(2);
  const { body } = await ask(kept, '/kept');
  for (const [deaths, fault] of [
    [1, 'memory'],
    [2, 'hang'],
  ] as const) {
    const lost = await node.clientOf(1);
    await ask(lost, '/kept');
    node.fail(1, fault);
    await lost.closed();
    assert.deepEqual(await ask(kept, '/kept'), { body, hit: true });
    await until('the death', async () => (await node.metric('meridian_thread_deaths_total')) === deaths);
    await until('another in its place', async () => (await node.metric('meridian_threads')) === 2);
    assert.deepEqual(await ask(await node.clientOf(1), '/kept'), { body, hit: true });
  }
});

test('the access log of all threads goes to one file, which may be moved away; of no share what failed is there', async (t) => {
  const file = path.join(tempFolder(t), 'access.log');
  const node = await Node.start(t, demo(1, { gone: 'http://127.0.0.1:1' }), { accessLog: file, accessLogSample: 0 });
  renameSync(file, `${file}.1`);
  node.edge.reopenLog();
  await until('a new file', () => existsSync(file));
  for (const thread of [1, 2]) {
    const client = await node.clientOf(thread);
    assert.equal((await client.ask(request('GET', '/', 'Host: other.example'))).status, 421);
    assert.equal((await client.ask(request('GET', `/${thread}`))).status, 502);
  }
  await node.edge.stop();
  const lines = readFileSync(file, 'utf8').trimEnd().split('\n');
  const failed = lines.map((line) => JSON.parse(line) as { target: string; status: number; sample?: number });
  assert.deepEqual(failed.map(({ target, status, sample }) => [target, status, sample]).sort(), [
    ['/1', 502, undefined],
    ['/2', 502, undefined],
  ]);
});

test('an origin that the main thread finds down is avoided by all threads', async (t) => {
  const sick = await startOrigin((req, res) => {
    res.statusCode = req.url === '/health' ? 500 : 200;
    res.end('sick');
  });
  const snapshot = demo(1, { sick: sick.address, paris: other.address });
  const [pool] = snapshot.pools;
  const [, far] = pool?.origins ?? [];
  assert.ok(pool?.healthCheck && far);
  far.location = { latitude: -33, longitude: 151 };
  pool.healthCheck.intervalMs = 200;
  const node = await Node.start(t, snapshot);
  const clients = [await node.clientOf(1), await node.clientOf(2)];
  let asked = 0;
  const served = async (client: RawClient) => (await ask(client, `/health-of/${++asked}`)).body;
  for (const client of clients) await until('the other', async () => (await served(client)) === 'paris');
});

test('connections are counted over all threads, also when one dies; a client has no more than its share', async (t) => {
  const node = await Node.start(t, demo(1, ORIGINS), { maxClientConnections: 4 });
  const clients = [await node.clientOf(1), await node.clientOf(1), await node.clientOf(2), await node.clientOf(2)];
  const gone = async (count: number) => {
    await until(`${count} connections`, async () => (await node.metric('meridian_connections')) === count);
  };
  await gone(4);
  const fifth = await node.client();
  await fifth.closed();
  const name = 'meridian_listener_refused_total{reason="too-many-connections-of-client"}';
  assert.ok((await node.metric(name)) >= 1);
  for (const client of clients) await ask(client, '/still');
  node.fail(1, 'throw');
  await gone(2);
  await until('another in its place', async () => (await node.metric('meridian_threads')) === 2);
  await ask(await node.clientOf(1), '/still');
  // Who speaks for others is not one client.
  await node.apply(demo(2, ORIGINS, ['127.0.0.0/8']));
  const many = await Promise.all([1, 2, 3, 4, 5, 6].map(() => node.client()));
  for (const client of many) await ask(client, '/still');
});

test('a TLS session begun at one thread is resumed at the other', async (t) => {
  const secure = { listen: '127.0.0.1:0', certificates: CERTIFICATES };
  const node = await Node.start(t, demo(1, ORIGINS), { tls: secure });
  const port = node.edge.tlsPort ?? 0;
  const first = await connectTls(port, { ALPNProtocols: ['http/1.1'] });
  const begunAt = await node.threadOf(first.localPort ?? 0);
  const session = await new Promise<Buffer>((resolve) => {
    first.once('session', resolve);
    first.resume().write(request('GET', '/tls'));
  });
  for (let i = 0; ; i += 1) {
    assert.ok(i < 100, 'all connections came to one thread');
    const again: tls.TLSSocket = await connectTls(port, { ALPNProtocols: ['http/1.1'], session });
    const resumedAt = await node.threadOf(again.localPort ?? 0);
    assert.ok(again.isSessionReused());
    again.end();
    if (resumedAt !== begunAt) break;
  }
  first.destroy();
});

test('a geographic database that is replaced is looked up in by all threads, from one copy', async (t) => {
  const folder = tempFolder(t);
  const file = path.join(folder, 'city.mmdb');
  const put = (latitude: number, longitude: number): void => {
    const record = nestedRecord('Somewhere', 'XX', latitude, longitude);
    const networks: [string, typeof record][] = [['81.0.0.0/8', record]];
    writeFileSync(`${file}.new`, writeMmdb({ type: 'GeoLite2-City', ipVersion: 6, networks }));
    renameSync(`${file}.new`, file);
  };
  put(51.5, -0.1);
  // So that the file is looked at soon; threads go on counting in their own time, and are looked at in theirs.
  const clock: Clock = {
    ...systemClock,
    every: (ms, fn) => systemClock.every(ms === PULSE_MS ? ms : ms / 50, fn),
  };
  const snapshot = demo(1, { london: origin.address, paris: other.address }, ['127.0.0.0/8']);
  const placed = snapshot.pools[0]?.origins[1];
  assert.ok(placed);
  placed.location = { latitude: 48.9, longitude: 2.4 };
  const node = await Node.start(t, snapshot, { geoFiles: [file], clock });
  const clients = [await node.clientOf(1), await node.clientOf(2)];
  let asked = 0;
  const served = async (client: RawClient) => {
    asked += 1;
    return (await ask(client, `/geo/${asked}`, 'X-Forwarded-For: 81.2.3.4')).body;
  };
  for (const client of clients) assert.match(await served(client), /london/);
  put(48.9, 2.4);
  for (const client of clients) await until('the move', async () => (await served(client)) === 'paris');
});

test('what cannot be had is said at the start: a port, a data folder, the access log, a number of threads', async (t) => {
  const dataDir = tempFolder(t);
  const node = await Node.start(t, demo(1, ORIGINS), { dataDir });
  const rejected = (options: object, message: RegExp) =>
    assert.rejects(Node.start(t, demo(1, ORIGINS), { threads: 1, ...options }), message);
  await rejected(
    { listen: `127.0.0.1:${node.edge.port}` },
    /cannot listen on 127\.0\.0\.1:\d+: the port is in use; stop/,
  );
  await rejected({ dataDir }, /an edge uses the data folder .* already; stop it, take it over \(--take-over\), or use/);
  await rejected({ accessLog: '/no/such/folder/log' }, /the access log \/no\/such\/folder\/log cannot be opened/);
  await rejected({ threads: 0 }, /threads: expected a whole number from 1 to 256, found 0/);
  await rejected({ maxConnections: 0 }, /connection limit connections: expected a whole number above 0, found 0/);
});

test('whoever asks to take over an edge that does not run, or that may not be, is told', async (t) => {
  const command = { program: process.execPath, args: ['-e', ''], cwd: '/', env: {} };
  const dataDir = tempFolder(t);
  await assert.rejects(askForTakeOver(dataDir, command), /no edge runs on the data folder .*; start one without/);
  const node = await Node.start(t, demo(1, ORIGINS), { dataDir, threads: 1, tied: 'it is held' });
  await assert.rejects(askForTakeOver(dataDir, command), /^Error: it is held$/);
  await ask(await node.client(), '/still');
});

test('a program that is not an edge does not take anything over, whatever it does', async (t) => {
  const dataDir = tempFolder(t);
  const node = await Node.start(t, demo(1, ORIGINS), { dataDir, threads: 1 });
  const attempt = (args: string[]) => {
    return askForTakeOver(dataDir, { program: process.execPath, args, cwd: '/', env: {} });
  };
  await assert.rejects(attempt(['-e', '']), /the new process ended \(exit code 0\) before it was ready; see its log/);
  const failing = "require('net').Socket({ fd: 3 }).write('failed: out of luck\\n')";
  await assert.rejects(attempt(['-e', failing]), /^Error: out of luck$/);
  await assert.rejects(
    askForTakeOver(dataDir, { program: '/no/such/program', args: [], cwd: '/', env: {} }),
    /the new process cannot be started: .*ENOENT/,
  );
  await ask(await node.client(), '/still');
});
