// The embedded store: the contract, and what a file brings with it.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, openSync, readFileSync, writeFileSync, writeSync } from 'node:fs';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { type TestContext, test } from 'node:test';
import { openSqliteStore } from '../../../control-plane/io/sqlite-store.ts';
import { type Store, StoreError } from '../../../control-plane/ports.ts';
import { tempFolder } from '../../support/temp.ts';
import { commit, put, storeContract, watch } from './store-contract.ts';

function open(t: TestContext, file: string): Store {
  const store = openSqliteStore(file);
  t.after(() => store.close());
  return store;
}

const unusable = (message: RegExp) => (error: unknown) =>
  error instanceof StoreError && error.kind === 'unusable' && message.test(error.message);

storeContract('sqlite', async (t) => {
  const file = path.join(tempFolder(t), 'made', 'meridian.db');
  const store = open(t, file);
  return {
    store,
    async reopen() {
      await store.close();
      return open(t, file);
    },
  };
});

test('two files are two stores', async (t) => {
  const folder = tempFolder(t);
  const a = open(t, path.join(folder, 'a.db'));
  const b = open(t, path.join(folder, 'b.db'));
  assert.notEqual(await a.identity(), await b.identity());
});

test('a watch from before a restart is lost, so that its caller reads again', async (t) => {
  const file = path.join(tempFolder(t), 'meridian.db');
  const first = open(t, file);
  const revision = await commit(first, put('/a/x', '1'));
  await first.close();
  const second = open(t, file);
  const seen = watch(t, second, '/a/', revision);
  await assert.rejects(seen.until(revision));
  assert.deepEqual(seen.batches, []);
  assert.match(seen.lost[0] ?? '', /not remembered/);
});

test('a watch that falls further behind than the history is lost', async (t) => {
  const store = open(t, path.join(tempFolder(t), 'meridian.db'));
  const start = await commit(store, put('/a/x', 'start'));
  for (let i = 0; i < 257; i += 1) await commit(store, put('/a/x', String(i)));
  await assert.rejects(watch(t, store, '/a/', start + 1).until(start + 1));
  const seen = watch(t, store, '/a/', start + 2);
  await seen.until(start + 257);
  assert.equal(seen.batches.length, 256);
});

test('a file that is in use is refused, by a store in this process and by one in another', async (t) => {
  const file = path.join(tempFolder(t), 'meridian.db');
  const store = open(t, file);
  assert.throws(() => openSqliteStore(file), unusable(/in use by another process/));
  const script = `import { openSqliteStore } from ${JSON.stringify(path.resolve('control-plane/io/sqlite-store.ts'))};
    try { openSqliteStore(process.argv[1]); } catch (error) { console.log(error.message); }`;
  const child = spawn(process.execPath, ['--input-type=module-typescript', '-e', script, file]);
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString();
  });
  await once(child, 'close');
  assert.match(output, /in use by another process/);
  await commit(store, put('/a/x', 'still works'));
});

test('a process that was killed in mid-life leaves a file with all that it was told is committed', async (t) => {
  const file = path.join(tempFolder(t), 'meridian.db');
  const script = `import { openSqliteStore } from ${JSON.stringify(path.resolve('control-plane/io/sqlite-store.ts'))};
    const store = openSqliteStore(process.argv[1]);
    for (let i = 1; ; i += 1) {
      await store.commit({ compares: [], operations: [{ kind: 'put', key: '/a/x', value: String(i) }] });
      process.stdout.write(i + '\\n');
    }`;
  const child = spawn(process.execPath, ['--input-type=module-typescript', '-e', script, file]);
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString();
    if (output.length > 200) child.kill('SIGKILL');
  });
  await once(child, 'close');
  const told = Number(output.split('\n').at(-2));
  const [entry] = (await open(t, file).read('/a/')).entries;
  assert.ok(Number(entry?.value) >= told, `told ${told}, found ${entry?.value}`);
});

test('a file that is not a store is refused and left as it is', (t) => {
  const folder = tempFolder(t);
  const text = path.join(folder, 'text');
  writeFileSync(text, 'to whom it may concern\n'.repeat(100));
  assert.throws(() => openSqliteStore(text), unusable(/text is not a store of Meridian's/));
  assert.match(readFileSync(text, 'utf8'), /^to whom/);

  const other = path.join(folder, 'other.db');
  const database = new DatabaseSync(other);
  database.exec('CREATE TABLE mine (x)');
  database.close();
  const before = readFileSync(other);
  assert.throws(() => openSqliteStore(other), unusable(/not one of Meridian's/));
  assert.deepEqual(readFileSync(other), before);

  mkdirSync(path.join(folder, 'folder'));
  assert.throws(() => openSqliteStore(path.join(folder, 'folder')), unusable(/cannot be opened/));
  assert.throws(() => openSqliteStore(path.join(text, 'below')), unusable(/cannot be opened/));
});

test('a file of another format is refused by its number', async (t) => {
  const file = path.join(tempFolder(t), 'meridian.db');
  await open(t, file).close();
  const database = new DatabaseSync(file);
  database.exec('PRAGMA user_version = 99');
  database.close();
  assert.throws(() => openSqliteStore(file), unusable(/another release.*format 99/));
});

test('a damaged file is refused', async (t) => {
  const file = path.join(tempFolder(t), 'meridian.db');
  const store = open(t, file);
  for (let i = 0; i < 50; i += 1) await commit(store, put(`/a/${i}`, 'x'.repeat(1000)));
  await store.close();
  const handle = openSync(file, 'r+');
  for (let page = 2; page < 8; page += 1) writeSync(handle, Buffer.alloc(2048, 0xab), 0, 2048, page * 4096);
  assert.throws(() => openSqliteStore(file), unusable(/is damaged.*backup/));
});
