// The snapshot on disk: written, read again, torn, corrupted and replaced, in a folder of its own.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { SnapshotFile } from '../../../../edge-node/io/snapshot-file.ts';
import { type Log, silentLog } from '../../../../infra/runtime/log.ts';
import { seededRandom } from '../../../../infra/runtime/random.ts';
import { Snapshot } from '../../../../proto/gen/meridian/v1/resources.ts';
import { snapshotOf } from '../../../support/snapshots.ts';

function place(t: TestContext): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'meridian-snapshot-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return path.join(folder, 'state', 'snapshot');
}

/** As a process that starts would read it. */
async function readAnew(file: string, log: Log = silentLog): Promise<number | undefined> {
  return (await new SnapshotFile(file, log).read())?.version?.revision;
}

test('where nothing was written there is nothing to read', async (t) => {
  assert.equal(await readAnew(place(t)), undefined);
});

test('what was written is read again, whole', async (t) => {
  const file = place(t);
  await new SnapshotFile(file, silentLog).write(snapshotOf(5));
  const read = await new SnapshotFile(file, silentLog).read();
  assert.deepEqual(read && Snapshot.toJSON(read), Snapshot.toJSON(snapshotOf(5)));
  assert.match(readFileSync(file, 'latin1'), /^meridian-snapshot 1 sha256=[0-9a-f]{64} length=\d+\n/);
});

test('the one before is kept, and no other file is left', async (t) => {
  const file = place(t);
  const snapshots = new SnapshotFile(file, silentLog);
  for (const revision of [5, 6, 7]) await snapshots.write(snapshotOf(revision));
  assert.deepEqual(readdirSync(path.dirname(file)).toSorted(), ['snapshot', 'snapshot.previous']);
  assert.equal(await readAnew(file), 7);
  assert.equal(await readAnew(`${file}.previous`), 6);
});

test('a file torn or changed anywhere is noticed, said so, and the one before is used', async (t) => {
  const file = place(t);
  const snapshots = new SnapshotFile(file, silentLog);
  await snapshots.write(snapshotOf(5));
  await snapshots.write(snapshotOf(6));
  const whole = readFileSync(file);
  const random = seededRandom(1);
  const damages = [Buffer.alloc(0), Buffer.from('not a snapshot\n'), Buffer.concat([whole, Buffer.from('x')])];
  for (let round = 0; round < 60; round += 1) {
    damages.push(whole.subarray(0, Math.floor(random.next() * whole.length)));
    const flipped = Buffer.from(whole);
    // The format's number is left alone: another number is another format.
    const at = Math.floor(random.next() * (whole.length - 20)) + 20;
    flipped[at] = (flipped[at] ?? 0) ^ 1;
    damages.push(flipped);
  }
  for (const damage of damages) {
    writeFileSync(file, damage);
    const said: string[] = [];
    const log: Log = { ...silentLog, error: (_fields, message) => said.push(message) };
    assert.equal(await readAnew(file, log), 5);
    assert.match(said.join(), /damaged/);
  }
});

test('when both are damaged there is nothing', async (t) => {
  const file = place(t);
  mkdirSync(path.dirname(file));
  writeFileSync(file, 'x');
  writeFileSync(`${file}.previous`, 'y');
  assert.equal(await readAnew(file), undefined);
});

test('a damaged file does not displace the good one before it', async (t) => {
  const file = place(t);
  const first = new SnapshotFile(file, silentLog);
  await first.write(snapshotOf(5));
  await first.write(snapshotOf(6));
  writeFileSync(file, 'x');
  const second = new SnapshotFile(file, silentLog);
  await second.read();
  await second.write(snapshotOf(7));
  assert.equal(await readAnew(`${file}.previous`), 5);
  assert.equal(await readAnew(file), 7);
});

test('a file of another format is an error that says what to do', async (t) => {
  const file = place(t);
  mkdirSync(path.dirname(file));
  writeFileSync(file, 'meridian-snapshot 2 anything else\nxyz');
  await assert.rejects(new SnapshotFile(file, silentLog).read(), {
    name: 'SnapshotFormatError',
    message: /is of format 2 and this release reads format 1: run the release that wrote it, or remove the file/,
  });
});

test('what a crash left half written beside the file is not looked at, and is overwritten', async (t) => {
  const file = place(t);
  await new SnapshotFile(file, silentLog).write(snapshotOf(5));
  writeFileSync(`${file}.new`, 'half');
  writeFileSync(`${file}.previous.new`, 'half');
  const snapshots = new SnapshotFile(file, silentLog);
  assert.equal((await snapshots.read())?.version?.revision, 5);
  await snapshots.write(snapshotOf(6));
  assert.deepEqual(readdirSync(path.dirname(file)).toSorted(), ['snapshot', 'snapshot.previous']);
});

test('a write that fails says why and leaves what was there', async (t) => {
  const file = place(t);
  const snapshots = new SnapshotFile(file, silentLog);
  await snapshots.write(snapshotOf(5));
  mkdirSync(`${file}.new`);
  await assert.rejects(snapshots.write(snapshotOf(6)), { code: 'EISDIR' });
  assert.equal(await readAnew(file), 5);
});

test('a file that is there but cannot be read is an error, not an absence', async (t) => {
  const file = place(t);
  mkdirSync(file, { recursive: true });
  await assert.rejects(readAnew(file), { code: 'EISDIR' });
});
