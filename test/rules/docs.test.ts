// The pages that are made from the code say what the code says.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { generatedPages, ROOT } from '../../infra/docs/generate.ts';

for (const [file, text] of await generatedPages()) {
  test(`${file} is current`, async () => {
    const written = await readFile(new URL(file, ROOT), 'utf8').catch(() => '');
    assert.equal(written, text, `${file} is out of date: run "npm run generate" and commit the result`);
  });
}
