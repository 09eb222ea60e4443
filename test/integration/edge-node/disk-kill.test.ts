// kill -9 in the middle of heavy storing: nothing corrupt is served afterwards, and the cache is warm. Fifty rounds: see
// test/soak/disk.ts.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { killStorers } from '../../soak/disk-kill.ts';
import { tempFolder } from '../../support/temp.ts';

const ROUNDS = 4;

test('killed while it stores, again and again: what is served is right, and most is still there', async (t) => {
  const reports = await killStorers(tempFolder(t), ROUNDS, 1);
  assert.equal(reports.length, ROUNDS + 1);
  for (const [round, { found, corrupt }] of reports.entries()) {
    assert.equal(corrupt, 0);
    if (round > 0) assert.ok(found > 300, `${found} found in round ${round}`);
  }
  assert.ok(reports.some(({ scanned }) => scanned > 0));
});
