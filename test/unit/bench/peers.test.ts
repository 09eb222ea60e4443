import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { BASE, PEERS } from '../../../bench/peers/index.ts';
import { fillIn, type Place } from '../../../bench/peers/peer.ts';
import { loadConfig } from '../../../cli/config/load.ts';
import { tempFolder } from '../../support/temp.ts';

function place(directory: string, accessLog?: string): Place {
  const certificate = {
    directory: '/c',
    certificate: '/c/localhost.crt',
    key: '/c/localhost.key',
    both: '/c/localhost.pem',
  };
  return { directory, originPort: 5001, httpPort: 5002, tlsPort: 5003, accessLog, certificate };
}

for (const peer of PEERS) {
  for (const log of [undefined, '/log/access']) {
    test(`the configuration of ${peer.title} is whole ${log === undefined ? 'without' : 'with'} an access log`, async (t) => {
      const directory = tempFolder(t);
      const commands = await peer.prepare(place(directory, log));
      const texts = readdirSync(directory).map((file) => readFileSync(path.join(directory, file), 'utf8'));
      assert.equal(texts.length, 1, 'it writes one file');
      const all = [...texts, ...commands.map(({ args, stdout }) => [...args, stdout].join(' '))].join('\n');
      assert.match(all, /\b5001\b/, 'it knows the origin');
      assert.match(all, /\b5002\b/, 'it knows where to listen');
      assert.doesNotMatch(all, /\$\{|#if|#end/);
      assert.equal(all.includes('/log/access'), log !== undefined);
    });
  }
}

test('Meridian accepts what the benchmark configures it with', async (t) => {
  const file = await fillIn('meridian.yaml', tempFolder(t), { ORIGIN_PORT: 5001 });
  const loaded = await loadConfig([file], { complete: true });
  assert.equal(loaded.kind, 'loaded', JSON.stringify(loaded));
});

test('a template that names what has no value is an error', async (t) => {
  await assert.rejects(fillIn('meridian.yaml', tempFolder(t), {}), /meridian\.yaml names \$\{ORIGIN_PORT\}/);
});

test('what the others are compared with is one of them', () => {
  assert.ok(PEERS.some(({ name }) => name === BASE));
  assert.equal(new Set(PEERS.map(({ name }) => name)).size, PEERS.length);
});
