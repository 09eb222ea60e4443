// Who may import what, and what decide/ may touch: the design's rules, read from the source text.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const GENERATED = 'proto/gen/';

interface Source {
  readonly file: string;
  readonly text: string;
  /** Paths from the root for our own files, bare specifiers for the rest. */
  readonly imports: readonly string[];
}

const sources: readonly Source[] = execFileSync('git', ['ls-files', '-co', '--exclude-standard', '*.ts'], { cwd: ROOT })
  .toString()
  .split('\n')
  .filter((file) => file !== '' && !file.startsWith(GENERATED))
  .map((file) => {
    const text = readFileSync(path.join(ROOT, file), 'utf8');
    const specifiers = [...text.matchAll(/(?:\bfrom|\bimport)\s*\(?\s*'([^']+)'/g)].map((match) => match[1] ?? '');
    return {
      file,
      text,
      imports: specifiers.map((name) => (name.startsWith('.') ? path.join(path.dirname(file), name) : name)),
    };
  });

/** The pure files of geo/, which decide/ may use. */
const PURE_GEO = ['geo/address.ts', 'geo/distance.ts', 'geo/rank.ts', 'geo/location.ts'];

/** For each folder, what its files may import of ours; the longest folder that matches a file decides. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  'proto/': ['proto/'],
  'geo/': ['geo/'],
  'infra/runtime/': ['infra/runtime/'],
  'infra/docs/': ['infra/', 'proto/', 'edge-node/pipeline/', 'edge-node/io/limits.ts', 'cli/'],
  'control-plane/decide/': ['control-plane/decide/', 'proto/', ...PURE_GEO],
  'control-plane/ports.ts': ['control-plane/decide/', 'control-plane/ports.ts', 'proto/', 'infra/runtime/'],
  'control-plane/io/': [
    'control-plane/io/',
    'control-plane/decide/',
    'control-plane/ports.ts',
    'proto/',
    'geo/',
    'infra/runtime/',
  ],
  'control-plane/main.ts': ['control-plane/', 'proto/', 'geo/', 'infra/runtime/'],
  'edge-node/decide/': ['edge-node/decide/', 'proto/', ...PURE_GEO],
  'edge-node/pipeline/': ['edge-node/pipeline/', 'edge-node/decide/', 'edge-node/ports.ts', 'proto/', ...PURE_GEO],
  'edge-node/ports.ts': ['edge-node/decide/', 'edge-node/ports.ts', 'proto/', 'infra/runtime/', ...PURE_GEO],
  'edge-node/io/': [
    'edge-node/io/',
    'edge-node/decide/',
    'edge-node/ports.ts',
    'edge-node/pipeline/exchange.ts',
    'proto/',
    'geo/',
    'infra/runtime/',
  ],
  'edge-node/main.ts': ['edge-node/', 'proto/', 'geo/', 'infra/runtime/'],
  'edge-node/worker.ts': ['edge-node/', 'proto/', 'geo/', 'infra/runtime/'],
  'cli/': ['cli/', 'proto/', 'geo/', 'infra/runtime/', 'control-plane/main.ts', 'edge-node/main.ts'],
  'test/': [''],
  'bench/': [''],
};

test('imports run one way', () => {
  const broken: string[] = [];
  for (const { file, imports } of sources) {
    const folder = Object.keys(MAY_IMPORT)
      .filter((prefix) => file.startsWith(prefix))
      .toSorted((a, b) => b.length - a.length)[0];
    if (folder === undefined) {
      broken.push(`${file} is in a folder that no rule covers`);
      continue;
    }
    for (const target of imports.filter((name) => name.endsWith('.ts'))) {
      const allowed = MAY_IMPORT[folder]?.some((prefix) => target.startsWith(prefix));
      if (!allowed) broken.push(`${file} imports ${target}; ${folder} may import ${MAY_IMPORT[folder]?.join(', ')}`);
    }
  }
  assert.deepEqual(broken, []);
});

test('decide/ and the pure files of geo/ are pure and synchronous', () => {
  const impure =
    /\bfrom\s+'node:|\bDate\.now\b|\bnew Date\(\)|\bMath\.random\b|\bsetTimeout\b|\bsetInterval\b|\bqueueMicrotask\b|\bprocess\.|\basync\b|\bawait\b|\bPromise\b|\bconsole\.|\bperformance\.|runtime\/(?:log|clock)/;
  const broken: string[] = [];
  for (const { file, text } of sources) {
    if (!file.includes('/decide/') && !PURE_GEO.includes(file)) continue;
    for (const [index, line] of text.split('\n').entries()) {
      const code = line.replace(/(^|\s)\/\/.*|^\s*\*.*|^\s*\/\*.*/, '');
      if (impure.test(code)) broken.push(`${file}:${index + 1}: ${line.trim()}`);
    }
  }
  assert.deepEqual(broken, []);
});

test('pipeline/ does no I/O of its own', () => {
  const broken = sources
    .filter(({ file }) => file.startsWith('edge-node/pipeline/'))
    .flatMap(({ file, imports }) =>
      imports.filter((name) => name.startsWith('node:')).map((name) => `${file}: ${name}`),
    );
  assert.deepEqual(broken, []);
});

test('no source file has grown past 400 lines', () => {
  const long = sources.filter(({ text }) => text.split('\n').length > 400).map(({ file }) => file);
  assert.deepEqual(long, []);
});
