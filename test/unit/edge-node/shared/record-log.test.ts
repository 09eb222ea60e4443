// Changes of the shared store as another thread sees them in the middle: whenever the writer has closed a bucket, someone looks.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeRecord, RecordReader } from '../../../../edge-node/decide/cache/record.ts';
import { StringHash } from '../../../../edge-node/decide/hash.ts';
import { allocateSharedStore, slice, TABLE } from '../../../../edge-node/io/shared/handles.ts';
import { RecordLog } from '../../../../edge-node/io/shared/record-log.ts';
import { Ring } from '../../../../edge-node/io/shared/ring.ts';
import { SharedStore } from '../../../../edge-node/io/shared/shared-store.ts';
import { SlotTable } from '../../../../edge-node/io/shared/slot-table.ts';
import { bodies, storable } from '../cache/store-support.ts';

class WatchedTable extends SlotTable {
  onOpen: () => void = () => {};
  onClose: () => void = () => {};

  override open(bucket: number): void {
    super.open(bucket);
    this.onOpen();
  }

  override close(bucket: number, changed: number): void {
    super.close(bucket, changed);
    this.onClose();
  }
}

/** A writer that needs no lock here, and a reader. */
function watched(maxBytes: number, maxVariants = 20) {
  const handles = allocateSharedStore({ maxBytes, maxVariants }, 2, { k0: 1, k1: 2 });
  const control = new Int32Array(handles.control);
  const table = new WatchedTable(handles.index, handles.buckets, control, TABLE, slice(1) * 2);
  const counts = new Float64Array(handles.control);
  const hash = new StringHash(handles.hashKey);
  const log = new RecordLog(handles.limits, 2, table, new Ring(handles.arena), counts, hash, new RecordReader());
  return { table, log, reader: new SharedStore(handles, 0) };
}

const put = (log: RecordLog, entry: ReturnType<typeof storable>) => log.put(entry, encodeRecord(entry), 0);

test('what takes the place of another is there as soon as the other is not', () => {
  const { table, log, reader } = watched(100_000);
  put(log, storable('/', 'one', { accept: 'a' }));
  put(log, storable('/', 'two', { accept: 'b' }));
  const seen: string[][] = [];
  table.onClose = () => seen.push(bodies(reader, '/'));
  put(log, storable('/', 'three', { accept: 'a' }));
  assert.deepEqual(seen, [['three', 'two']]);
});

test('of too many variants one goes as the next comes', () => {
  const { table, log, reader } = watched(100_000, 2);
  for (const accept of ['a', 'b']) put(log, storable('/', accept, { accept }));
  const seen: string[][] = [];
  table.onClose = () => seen.push(bodies(reader, '/'));
  put(log, storable('/', 'c', { accept: 'c' }));
  assert.deepEqual(seen, [['b', 'c']]);
});

test('what is moved is there before and after', () => {
  const body = 'x'.repeat(500);
  const { table, log, reader } = watched(1_500);
  for (const target of ['/a', '/b']) put(log, storable(target, body));
  for (const entry of reader.find(storable('/a', '').key)) reader.touch(entry);
  const seen: string[] = [];
  table.onClose = () => seen.push(['/a', '/b', '/c'].filter((target) => bodies(reader, target)[0] === body).join(' '));
  put(log, storable('/c', body));
  assert.deepEqual(seen, ['/a /b', '/a', '/a /c'], 'one moved, one dropped, one stored');
});

test('a head that fits is refreshed where it is; one that does not is gone for a moment, and never half there', () => {
  const { table, log, reader } = watched(100_000);
  const place = put(log, storable('/', 'body', { padding: 10 }));
  put(log, storable('/next', ''));
  assert.ok(place);
  const refreshed = (padding: number, barrier: number) => {
    const seen: (number | undefined)[] = [];
    table.onClose = () => seen.push(reader.find(storable('/', '').key)[0]?.head.barrier);
    const { head, ...rest } = storable('/', '', { padding, barrier });
    log.refresh(place, rest, head);
    assert.deepEqual(bodies(reader, '/'), ['body']);
    return seen;
  };
  assert.deepEqual(refreshed(10, 1), [1]);
  assert.deepEqual(refreshed(5, 2), [2]);
  assert.deepEqual(refreshed(50, 3), [undefined, 3]);
});

test('emptied in the middle of any change, the store is as good as new', () => {
  const body = 'x'.repeat(500);
  for (let dies = 1; ; dies += 1) {
    const { table, log, reader } = watched(1_500, 1);
    for (const target of ['/a', '/b']) put(log, storable(target, body));
    const old = reader.find(storable('/a', '').key);
    for (const entry of old) reader.touch(entry);
    let steps = 0;
    const step = () => {
      steps += 1;
      if (steps === dies) throw new Error('dies here');
    };
    table.onOpen = step;
    table.onClose = step;
    try {
      put(log, storable('/c', body));
      assert.equal(dies, 7, 'a move, a removal and a putting were looked at');
      break;
    } catch (error) {
      assert.match(String(error), /dies here/);
    }
    log.reset();
    for (const target of ['/a', '/b', '/c']) assert.deepEqual(bodies(reader, target), []);
    for (const entry of old) reader.removeEntry(entry);
    for (const target of ['/a', '/b', '/c', '/d', '/e', '/f', '/a']) {
      put(log, storable(target, body));
      assert.deepEqual(bodies(reader, target), [body]);
    }
    assert.equal(reader.stats().objects, 2);
  }
});
