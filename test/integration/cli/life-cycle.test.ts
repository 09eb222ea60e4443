// diff, history, rollback, drain and the new forms of purge, typed against a control plane.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { toYaml } from '../../../cli/config/print.ts';
import { diffLines } from '../../../cli/output/diff.ts';
import { seededRandom } from '../../../infra/runtime/random.ts';
import { formatVersion } from '../../../proto/version.ts';
import { configuration, edgeOf, startPlane } from '../../support/plane.ts';
import { tempFolder } from '../../support/temp.ts';
import { fakeAdmin, meridian } from './harness.ts';

test('a diff is the changes of one text to another, and no shorter one exists', () => {
  const random = seededRandom(2);
  const text = () =>
    Array.from({ length: Math.floor(random.next() * 7) }, () => 'abc'[Math.floor(random.next() * 3)] ?? '');
  /** Length of the longest common subsequence, by trying all. */
  const common = (a: readonly string[], b: readonly string[]): number => {
    const [first, ...rest] = a;
    if (first === undefined) return 0;
    const at = b.indexOf(first);
    return Math.max(common(rest, b), at === -1 ? 0 : 1 + common(rest, b.slice(at + 1)));
  };
  for (let i = 0; i < 1000; i += 1) {
    const [a, b] = [text(), text()];
    const lines = diffLines(a, b);
    const pick = (not: string) => lines.filter(({ kind }) => kind !== not).map((line) => line.text);
    assert.deepEqual([pick('added'), pick('removed')], [a, b]);
    assert.equal(lines.filter(({ kind }) => kind === 'same').length, common(a, b));
  }
});

test('what changed can be seen before and after, listed, and put back', async (t) => {
  const plane = await startPlane(t);
  const env = { MERIDIAN_ADMIN: `127.0.0.1:${plane.adminPort}` };
  const first = formatVersion(await plane.admin.applied(configuration('london')));
  const file = path.join(tempFolder(t), 'new.yaml');
  const { sites } = configuration();
  const changed = sites.map((site) => ({ ...site, hostnames: ['new.example'] }));
  writeFileSync(file, toYaml({ sites: changed, pools: [], edges: [] }));
  const before = await meridian(['diff', '-f', file], { env });
  assert.equal(before.code, 0);
  assert.match(before.stdout, new RegExp(`^--- ${first}\n\\+\\+\\+ the files\n`));
  assert.match(before.stdout, /\n- +- demo\.example\n\+ +- new\.example\n/);
  assert.match(before.stdout, /\n1 edge touched: london\n$/);
  assert.equal((await meridian(['apply', '-f', file], { env })).code, 0);
  assert.equal((await meridian(['diff', '-f', file], { env })).stdout, 'nothing differs\n');
  const versions = JSON.parse((await meridian(['history', '--json'], { env })).stdout).versions;
  assert.deepEqual(
    versions.map(({ what, former, changes }: { what: string; former: string; changes: object[] }) => [
      what,
      former,
      changes.length,
    ]),
    [
      ['apply', first, 1],
      ['apply', null, 3],
    ],
  );
  assert.match(
    (await meridian(['history', '--limit', '1'], { env })).stdout,
    /^\S+ {2}\S+Z {2}apply\n {4}updated site demo\n$/,
  );
  assert.match((await meridian(['diff', first], { env })).stdout, /\n\+ +- new\.example\n/);
  assert.match((await meridian(['get', '--version', first], { env })).stdout, /demo\.example/);
  const back = await meridian(['rollback', first], { env });
  assert.deepEqual([back.code, back.stdout.split('\n')[0]], [0, 'updated site demo']);
  assert.match((await meridian(['get', 'site', 'demo'], { env })).stdout, /demo\.example/);
  const edge = JSON.parse((await meridian(['diff', first, '--json'], { env })).stdout);
  assert.deepEqual(edge.edges, []);
  await plane.admin.applied({ edges: [edgeOf('tokyo')] });
  assert.match((await meridian(['diff', first], { env })).stdout, /\n1 edge touched: tokyo\n$/);
});

test('an origin is drained and given back, and status says so', async (t) => {
  const plane = await startPlane(t);
  const env = { MERIDIAN_ADMIN: `127.0.0.1:${plane.adminPort}` };
  await plane.admin.applied(configuration('edge-1'));
  assert.match((await meridian(['drain', 'cities/london'], { env })).stdout, /^created drain cities\/london\n/);
  assert.match((await meridian(['status'], { env })).stdout, /origins {2}0 of 2 up; drained: cities\/london\n/);
  assert.match((await meridian(['undrain', 'cities/london'], { env })).stdout, /^deleted drain cities\/london\n/);
  assert.match((await meridian(['undrain', 'cities/london'], { env })).stdout, /^nothing to change/);
  const unknown = await meridian(['drain', 'cities/rome'], { env });
  assert.deepEqual([unknown.code, /there is no origin "cities\/rome"/.test(unknown.stderr)], [1, true]);
});

test('what is typed wrong is said before anything is sent', async () => {
  const cases: [string[], RegExp][] = [
    [['rollback'], /expected a version such as/],
    [['rollback', '17'], /found "17"/],
    [['diff'], /expected -f FILE, or one or two versions/],
    [['diff', '1.1', '1.2', '1.3'], /unexpected argument "1\.3"/],
    [['history', '--limit', '0'], /--limit: expected a number/],
    [['drain', 'london'], /expected an origin such as cities\/london/],
    [['get', '--version', 'x'], /--version: expected a version/],
    [['purge', 'prefix', 'http://a.example/b?c'], /a prefix has no query/],
    [['purge', 'prefix', `http://a.example${'/x'.repeat(33)}`], /at most 32 segments/],
    [['purge', 'tag', 'two words'], /is not a tag/],
    [['purge', 'url', 'http://a.example/', '--site', 'x'], /--site is for "purge tag"/],
    [['apply', '-f', '-', '--canary', 'a', '--hold', '1ms'], /--hold: expected a duration/],
  ];
  for (const [argv, message] of cases) {
    const { code, stderr } = await meridian(argv, { stdin: toYaml({ sites: [], pools: [], edges: [] }) });
    assert.match(stderr, message, argv.join(' '));
    assert.equal(code, 2, argv.join(' '));
  }
});

test('a prefix without a path is its host; a tag counts on the hosts of its site', async (t) => {
  const asked: unknown[] = [];
  const env = {
    MERIDIAN_ADMIN: await fakeAdmin(t, {
      get: () => ({ snapshot: { version: undefined, ...configuration(), edges: [], drained: [] } }),
      purge({ targets, soft, dryRun }) {
        asked.push([...targets.map(({ target }) => target), soft, dryRun]);
        return [
          { event: { $case: 'count', value: { edge: 'lon', counted: true, objects: 2, bytes: 2048, detail: '' } } },
        ];
      },
    }),
  };
  const counted = await meridian(['purge', 'prefix', 'http://a.example/x/', 'http://b.example', '--dry-run'], { env });
  assert.equal(
    counted.stdout,
    '  lon                   2 objects, 2.0 KiB\nwould reach 2 objects, 2.0 KiB; this was a dry run\n',
  );
  await meridian(['purge', 'tag', 'red', '--site', 'demo', '--soft', '--dry-run'], { env });
  assert.deepEqual(asked, [
    [{ $case: 'prefix', value: { host: 'a.example', path: '/x' } }, { $case: 'host', value: 'b.example' }, false, true],
    [{ $case: 'tag', value: { tag: 'red', hosts: ['demo.example'] } }, true, true],
  ]);
});
