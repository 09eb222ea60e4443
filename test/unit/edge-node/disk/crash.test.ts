// What is left after a crash: everything that was written whole, and nothing else.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { HEAD_BYTES } from '../../../../edge-node/io/disk/form.ts';
import { seededRandom } from '../../../../infra/runtime/random.ts';
import type { MemoryFiles } from '../../../support/memory-files.ts';
import { storable } from '../cache/store-support.ts';
import { below, named } from '../cache/support.ts';
import { assertBody, bodyOf, crash, type Disk, openDisk } from './disk-support.ts';

async function put(disk: Disk, ...targets: readonly string[]): Promise<void> {
  for (const target of targets) disk.tier.store.put(storable(target, bodyOf(target, 100 + target.length * 37)));
  await disk.settle();
}

/** The segment that is being filled, as the only one with something in it. */
function segment(disk: Disk): { bytes: Buffer; length: number } {
  const filled = [...disk.files.contents].filter(([file, { length }]) => file.includes('segment') && length > 0);
  assert.equal(filled.length, 1);
  const [, content] = filled[0] ?? [];
  assert.ok(content);
  return content;
}

/** Where each record begins, by its first four bytes. */
function records({ bytes }: { bytes: Buffer }): number[] {
  const magic = bytes.subarray(HEAD_BYTES, HEAD_BYTES + 4);
  const found: number[] = [];
  for (let at = bytes.indexOf(magic); at !== -1; at = bytes.indexOf(magic, at + 4)) found.push(at);
  return found;
}

async function found(disk: Disk, ...targets: readonly string[]): Promise<string> {
  let all = '';
  for (const target of targets) {
    const entries = await disk.find(target);
    for (const { body } of entries) assertBody(target, body);
    all += entries.length;
  }
  return all;
}

describe('crash', () => {
  test('at every byte of the last record: the others are there, the last is whole or not there', async () => {
    const disk = await openDisk();
    await put(disk, '/a', '/b', '/c');
    const content = segment(disk);
    const last = records(content)[2] ?? 0;
    const whole = Buffer.from(content.bytes);
    const end = last + Math.ceil((whole.subarray(last).findLastIndex((byte) => byte !== 0) + 1) / 16) * 16;
    const seen = new Set<string>();
    for (let at = last; at <= end; at += 1) {
      // What was not written is as it was before, zero, or what an earlier use of the segment left.
      for (const rest of [0, 0xa5]) {
        whole.copy(content.bytes);
        content.bytes.fill(rest, at, end);
        const after = await crash(disk);
        const which = await found(after, '/a', '/b', '/c');
        seen.add(which);
        assert.ok(which === '110' || (which === '111' && at > end - 16), `${which} at ${at}`);
        // And it can be written to.
        if (at % 16 !== 0) continue;
        await put(after, '/d');
        assert.equal(await found(await crash(after), '/a', '/b', '/d'), '111');
      }
    }
    assert.deepEqual([...seen].toSorted(), ['110', '111']);
  });

  test('what an earlier run left behind the last record of a later one is not taken for its continuation', async () => {
    const disk = await openDisk();
    await put(disk, '/a', '/b', '/c');
    const content = segment(disk);
    const [, second = 0] = records(content);
    const { bytes } = content;
    // The record in the middle never reached the disk.
    bytes.fill(0, second, second + 4);
    const after = await crash(disk);
    assert.equal(await found(after, '/a', '/b', '/c'), '100');
    // One of the same length takes its place, so that the third follows it again.
    await put(after, '/x');
    assert.equal(await found(await crash(after), '/a', '/x', '/c'), '110');
  });

  test('any flipped bit: what it hits is not served, and nothing else is served wrongly', async () => {
    const random = seededRandom(5);
    for (let round = 0; round < 60; round += 1) {
      const disk = await openDisk();
      await put(disk, '/a', '/bb', '/ccc');
      const content = segment(disk);
      const end = content.bytes.findLastIndex((byte) => byte !== 0);
      const at = below(random, end + 1);
      content.bytes[at] = (content.bytes[at] ?? 0) ^ (1 << below(random, 8));
      // Seen while it is open, and after a restart.
      assert.match(await found(disk, '/a', '/bb', '/ccc'), /^(?:111|011|101|110)$/);
      await found(await crash(disk), '/a', '/bb', '/ccc');
      await disk.tier.close();
      assert.match(await found(await openDisk({ files: disk.files }), '/a', '/bb', '/ccc'), /^[01]{3}$/);
    }
  });

  test('damage is counted, and what is damaged is forgotten', async () => {
    const disk = await openDisk();
    await put(disk, '/a');
    const { bytes } = segment(disk);
    const last = bytes.findLastIndex((byte) => byte !== 0);
    bytes[last] = (bytes[last] ?? 0) ^ 1;
    assert.equal(await found(disk, '/a'), '0');
    assert.equal(disk.tier.store.stats().damaged, 1);
    assert.equal(disk.tier.store.find(named('/a').key), undefined);
    assert.equal(disk.tier.store.index.isOff, false);
  });

  test('what was removed or replaced stays so, by the hints and by the records', async () => {
    const disk = await openDisk();
    await put(disk, '/a', '/b', '/c');
    disk.tier.store.remove(named('/a').key);
    disk.tier.store.put(storable('/b', 'new'));
    await disk.settle();
    const crashed = await crash(disk);
    assert.deepEqual([await crashed.bodies('/a'), await crashed.bodies('/b')], [[], ['new']]);
    await disk.tier.close();
    const closed = await openDisk({ files: disk.files });
    closed.tier.store.remove(named('/c').key);
    await closed.settle();
    const again = await crash(closed);
    assert.deepEqual([await again.bodies('/a'), await again.bodies('/b'), await again.bodies('/c')], [[], ['new'], []]);
  });

  test('what was moved and removed afterwards does not come back from the place that it was moved from', async () => {
    for (const close of [false, true]) {
      const disk = await openDisk();
      await put(disk, '/moved');
      assert.equal(await found(disk, '/moved'), '1');
      for (let i = 0; disk.tier.store.stats().moved === 0; i += 1) await put(disk, `/${'.'.repeat(500)}${i}`);
      assert.equal(await found(disk, '/moved'), '1');
      disk.tier.store.remove(named('/moved').key);
      await disk.settle();
      if (close) await disk.tier.close();
      assert.equal(await found(await crash(disk), '/moved'), '0');
    }
  });

  test('nor when it is removed while the others of its segment are still being moved', async () => {
    const disk = await openDisk();
    const { files } = disk;
    await put(disk, '/moved');
    assert.equal(await found(disk, '/moved'), '1');
    const write = files.write.bind(files);
    let crashed: MemoryFiles | undefined;
    files.write = async (fd, sources, position) => {
      // The head of the segment that it was moved from.
      if (position === 0 && sources[0]?.every((byte) => byte === 0) === true) {
        files.write = write;
        disk.tier.store.remove(named('/moved').key);
        await disk.tier.store.idle();
        crashed = files.copy();
      }
      await write(fd, sources, position);
    };
    for (let i = 0; crashed === undefined; i += 1) await put(disk, `/${'.'.repeat(500)}${i}`);
    assert.equal(disk.tier.store.stats().moved, 1);
    assert.equal(await found(await openDisk({ files: crashed }), '/moved'), '0');
  });

  test('many times, while much is stored, moved and removed: only what was stored, and most of it', async () => {
    const random = seededRandom(9);
    let disk = await openDisk();
    let hits = 0;
    for (let round = 0; round < 30; round += 1) {
      for (let i = 0; i < 100; i += 1) {
        const target = `/${below(random, 400)}`;
        if (random.next() < 0.05) disk.tier.store.remove(named(target).key);
        else if (random.next() < 0.5) hits += Number(await found(disk, target));
        else disk.tier.store.put(storable(target, bodyOf(target, below(random, 3000))));
        if (random.next() < 0.2) await disk.settle();
      }
      // In the middle of whatever it is doing.
      disk = await crash(disk);
    }
    assert.ok(hits > 500, `${hits} hits`);
    assert.equal(disk.tier.store.stats().damaged, 0);
  });

  test('a restart reads hints, not records', async () => {
    const disk = await openDisk();
    for (let i = 0; i < 150; i += 1) await put(disk, `/${i}`);
    await disk.tier.close();
    const stored = disk.tier.store.stats();
    const files = disk.files.copy();
    const again = await openDisk({ files });
    assert.equal(again.tier.store.stats().objects, stored.objects);
    assert.ok(files.readBytes < stored.bytes / 4, `${files.readBytes} of ${stored.bytes}`);
  });
});
