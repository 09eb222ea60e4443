// The access log: lines into a real file, rotation, and destinations that fail in the ways that destinations do.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  closeSync,
  constants,
  existsSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import type { AccessRecord } from '../../../../edge-node/io/access-line.ts';
import { AccessLog } from '../../../../edge-node/io/access-log.ts';
import { type Log, silentLog } from '../../../../infra/runtime/log.ts';
import { Metrics } from '../../../../infra/runtime/metrics.ts';
import { FakeClock } from '../../../support/fake-clock.ts';
import { until } from '../../../support/until.ts';

const RECORD: AccessRecord = {
  time: Date.UTC(2026, 0, 2, 3, 4, 5, 678),
  client: '81.2.69.142',
  method: 'GET',
  host: 'demo.example',
  target: '/a?b=1',
  status: 200,
  bytes: 12,
  durationMs: 1.23456,
  cache: 'edge-1; hit; ttl=60',
  outcome: 'hit',
  site: 'demo',
  origin: undefined,
  failure: undefined,
  userAgent: 'curl/8.5.0',
  referer: undefined,
  version: 5,
  share: undefined,
};

function place(t: TestContext): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'meridian-access-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return path.join(folder, 'access.log');
}

async function open(destination: string) {
  const clock = new FakeClock();
  const metrics = new Metrics();
  const complaints: string[] = [];
  const log: Log = { ...silentLog, error: (fields) => complaints.push(JSON.stringify(fields)) };
  const access = await AccessLog.open({ edge: 'edge-1', destination }, { clock, log, metrics });
  const dropped = () => Number(/access_log_dropped_total (\d+)/.exec(metrics.render())?.[1]);
  return { access, clock, complaints, dropped };
}

/** Complete ones: the last may be being written. */
function lineCount(file: string): number {
  return readFileSync(file, 'utf8').split('\n').length - 1;
}

function linesOf(file: string): Record<string, unknown>[] {
  const text = readFileSync(file, 'utf8');
  return text === ''
    ? []
    : text
        .trimEnd()
        .split('\n')
        .map((line): Record<string, unknown> => JSON.parse(line));
}

test('an exchange becomes one line of JSON without what is absent', async (t) => {
  const file = place(t);
  const { access } = await open(file);
  access.log(RECORD);
  await access.close();
  assert.deepEqual(linesOf(file), [
    {
      edge: 'edge-1',
      time: '2026-01-02T03:04:05.678Z',
      client: '81.2.69.142',
      method: 'GET',
      host: 'demo.example',
      target: '/a?b=1',
      status: 200,
      bytes: 12,
      duration_ms: 1.235,
      cache: 'edge-1; hit; ttl=60',
      outcome: 'hit',
      site: 'demo',
      user_agent: 'curl/8.5.0',
      version: 5,
    },
  ]);
});

test('a client cannot forge a line, and long texts are cut', async (t) => {
  const file = place(t);
  const { access } = await open(file);
  access.log({
    ...RECORD,
    userAgent: 'x"}\n{"status":500}',
    target: `/${'a'.repeat(10_000)}`,
    referer: 'r'.repeat(600),
  });
  await access.close();
  const [line, ...more] = linesOf(file);
  assert.deepEqual(more, []);
  assert.equal(line?.user_agent, 'x"}\n{"status":500}');
  assert.equal(String(line?.target).length, 2_049);
  assert.equal(String(line?.referer).length, 513);
});

test('lines keep their order through batches, and reach the file within a second', async (t) => {
  const file = place(t);
  const { access, clock } = await open(file);
  for (let bytes = 0; bytes < 1_234; bytes += 1) access.log({ ...RECORD, bytes });
  await until('all lines but what is still buffered', () => lineCount(file) > 1_000);
  await until('the flush', () => {
    clock.advance(1_000);
    return lineCount(file) === 1_234;
  });
  assert.deepEqual(
    linesOf(file).map(({ bytes }) => bytes),
    Array.from({ length: 1_234 }, (_, index) => index),
  );
  await access.close();
});

test('what is taken between two events beyond the limit is dropped and counted', async (t) => {
  const file = place(t);
  const { access, dropped } = await open(file);
  for (let i = 0; i < 10_007; i += 1) access.log(RECORD);
  assert.equal(dropped(), 7);
  await access.close();
  assert.equal(linesOf(file).length, 10_000);
});

test('after a rotation lines go to a new file, and none is lost', async (t) => {
  const file = place(t);
  const { access } = await open(file);
  for (let i = 0; i < 100; i += 1) access.log({ ...RECORD, bytes: i });
  await setImmediate();
  renameSync(file, `${file}.1`);
  access.reopen();
  await until('the new file', () => existsSync(file));
  for (let i = 100; i < 200; i += 1) access.log({ ...RECORD, bytes: i });
  await access.close();
  const all = [...linesOf(`${file}.1`), ...linesOf(file)];
  assert.deepEqual(
    all.map(({ bytes }) => bytes),
    Array.from({ length: 200 }, (_, index) => index),
  );
  assert.equal(linesOf(file).at(-1)?.bytes, 199);
});

test('a reopening that fails is logged, and lines go on where they went', async (t) => {
  const file = place(t);
  const { access, complaints } = await open(file);
  rmSync(path.dirname(file), { recursive: true });
  access.reopen();
  await until('the complaint', () => complaints.length > 0);
  assert.match(complaints[0] ?? '', /ENOENT/);
  access.log(RECORD);
  await access.close();
});

test('a file that cannot be opened is an error at the start', async () => {
  await assert.rejects(open('/nowhere/access.log'), /the access log \/nowhere\/access\.log cannot be opened: ENOENT/);
});

test('closing twice, and logging after it, do no harm', async (t) => {
  const file = place(t);
  const { access, dropped } = await open(file);
  await access.close();
  await access.close();
  access.log(RECORD);
  access.reopen();
  assert.equal(dropped(), 1);
});

const onLinux = { skip: process.platform !== 'linux' && 'needs /dev/full and mkfifo' };

test(
  'a full disk is logged once a minute, and what does not fit the buffer is dropped and counted',
  onLinux,
  async () => {
    const { access, clock, complaints, dropped } = await open('/dev/full');
    const long = { ...RECORD, target: `/${'a'.repeat(2_000)}` };
    for (let round = 0; round < 6; round += 1) {
      for (let i = 0; i < 1_000; i += 1) access.log(long);
      await setImmediate();
      await setImmediate();
      await setImmediate();
      clock.advance(1_000);
    }
    await until('drops', () => dropped() > 0);
    await until('the complaint', () => complaints.length > 0);
    assert.equal(complaints.length, 1);
    assert.match(complaints[0] ?? '', /ENOSPC/);
    clock.advance(60_000);
    await until('a second complaint', () => complaints.length === 2);
    await access.close();
  },
);

test('a reader that stands still, then goes away, neither blocks nor ends the edge', onLinux, async (t) => {
  const fifo = place(t);
  execFileSync('mkfifo', [fifo]);
  const reader = openSync(fifo, constants.O_RDONLY | constants.O_NONBLOCK);
  const { access, complaints, dropped } = await open(fifo);
  const long = { ...RECORD, target: `/${'a'.repeat(2_000)}` };
  await until('drops', () => {
    for (let i = 0; i < 500; i += 1) access.log(long);
    return dropped() > 0;
  });
  assert.deepEqual(complaints, []);
  closeSync(reader);
  await until('the broken pipe', () => complaints.length > 0);
  assert.match(complaints[0] ?? '', /EPIPE/);
  const before = dropped();
  access.log(RECORD);
  assert.equal(dropped(), before + 1);
  await access.close();
});

test(
  "several that write to one pipe do not break up each other's lines, however slowly it is read",
  onLinux,
  async (t) => {
    const pipe = place(t);
    execFileSync('mkfifo', [pipe]);
    const reader = openSync(pipe, constants.O_RDONLY | constants.O_NONBLOCK);
    t.after(() => closeSync(reader));
    const writers = await Promise.all([open(pipe), open(pipe)]);
    const target = `/${'x'.repeat(700)}`;
    for (let i = 0; i < 300; i += 1) for (const { access } of writers) access.log({ ...RECORD, target });
    const closed = Promise.all(writers.map(({ access }) => access.close()));
    const piece = Buffer.alloc(5_000);
    let text = '';
    await until('all lines', () => {
      try {
        text += piece.toString('latin1', 0, readSync(reader, piece));
      } catch (error) {
        assert.equal((error as NodeJS.ErrnoException).code, 'EAGAIN');
      }
      return text.split('\n').length === 601;
    });
    for (const line of text.trimEnd().split('\n')) assert.equal(JSON.parse(line).target, target);
    await closed;
  },
);
