import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseArguments } from '../../../cli/commands/arguments.ts';
import { UsageError } from '../../../cli/commands/command.ts';
import { LIMIT_OPTION, limitReference, limitValues } from '../../../cli/commands/limits.ts';
import { formatSize, parseSize } from '../../../cli/config/duration.ts';
import { edgeLimits, LIMITS, NO_LIMITS } from '../../../edge-node/io/limits.ts';

function given(argv: readonly string[], env: Record<string, string> = {}): ReadonlyMap<string, number> {
  return limitValues(parseArguments({ options: { limit: LIMIT_OPTION } }, argv, env), LIMITS);
}

function refusal(...argv: readonly string[]): string {
  try {
    given(argv);
  } catch (error) {
    if (error instanceof UsageError) return error.message;
    throw error;
  }
  return 'not refused';
}

test('a limit is given by its name, in the unit that it has', () => {
  const values = given(['--limit', 'fill.waiters=10', '--limit=fill.wait=2s', '--limit', 'cache.object-bytes=1MiB']);
  assert.deepEqual(
    [...values],
    [
      ['fill.waiters', 10],
      ['fill.wait', 2000],
      ['cache.object-bytes', 1024 ** 2],
    ],
  );
});

test('the environment lists several; what is typed goes instead of it, and the last word counts', () => {
  const env = { MERIDIAN_LIMIT: 'fill.waiters=1, fill.rounds-not=2' };
  assert.deepEqual(
    [...given([], { MERIDIAN_LIMIT: 'fill.waiters=1, disk.variants=2' })],
    [
      ['fill.waiters', 1],
      ['disk.variants', 2],
    ],
  );
  assert.deepEqual([...given(['--limit', 'fill.waiters=1', '--limit', 'fill.waiters=2'], env)], [['fill.waiters', 2]]);
});

test('what cannot be meant is refused with what was expected', () => {
  assert.match(refusal('--limit', 'waiters'), /expected NAME=VALUE, found "waiters"/);
  assert.match(
    refusal('--limit', 'fill.waitres=1'),
    /there is no limit "fill.waitres" \(did you mean "fill.waiters"\?\)/,
  );
  assert.match(refusal('--limit', 'fill.wait=3'), /a duration such as 5s, from 1ms to 1h, found "3"/);
  assert.match(refusal('--limit', 'fill.wait=2h'), /from 1ms to 1h, found "2h"/);
  assert.match(refusal('--limit', 'cache.variants=0'), /a whole number, from 1 to 1000, found "0"/);
  assert.match(refusal('--limit', 'cache.object-bytes=x'), /a size such as 64KiB/);
});

test('each goes where it is kept, and nothing else is changed', () => {
  assert.deepEqual(edgeLimits(new Map()), NO_LIMITS);
  const limits = edgeLimits(
    new Map([
      ['fill.waiters', 7],
      ['client.idle-time', 5000],
    ]),
  );
  assert.deepEqual(limits, { ...NO_LIMITS, fills: { waiters: 7 }, http1: { idleMs: 5000 }, http2: { idleMs: 5000 } });
  assert.throws(() => edgeLimits(new Map([['fill.waiters', -1]])), /expected a whole number from 0/);
  assert.throws(() => edgeLimits(new Map([['nothing', 1]])), /there is no limit "nothing"/);
});

test('every default lies within its range, and the page lists every limit', () => {
  const page = limitReference(LIMITS);
  for (const [name, { default: standard, min, max }] of LIMITS) {
    assert.ok(standard === undefined || (standard >= min && standard <= max), name);
    assert.ok(page.includes(`| \`${name}\` |`), name);
  }
  for (const bytes of [1, 1000, 1024, 1536, 64 * 1024, 3 * 1024 ** 3])
    assert.equal(parseSize(formatSize(bytes)), bytes);
});
