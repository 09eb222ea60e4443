// Ten times more objects than fit, again and again: memory stays what it is. Minutes of it: see test/soak/disk.ts.
import assert from 'node:assert/strict';
import { readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { churn, growth } from '../../soak/disk-churn.ts';
import { tempFolder } from '../../support/temp.ts';

const SECONDS = 10;

test('memory is flat and the files are within their bound while ten times more is stored than fits', async (t) => {
  const folder = tempFolder(t);
  const samples = await churn(folder, SECONDS);
  const last = samples.at(-1);
  assert.ok(last !== undefined && samples.length >= 4, `${samples.length} samples in ${SECONDS} s`);
  assert.equal(last.wrong, 0);
  assert.ok(last.evictions > last.objects && last.asked > 3 * last.objects, JSON.stringify(last));
  // What the system has given is flat only after a minute, when the allocator has found its size.
  const grown = growth(samples, 'used');
  assert.ok(grown < 0.05, `memory grew by ${(grown * 100).toFixed(1)} %`);
  const bytes = readdirSync(folder).reduce((sum, name) => sum + statSync(path.join(folder, name)).size, 0);
  assert.ok(bytes < 16.1 * 1024 * 1024, `${bytes} bytes of files`);
});
