// Arguments, the environment behind them, and the values that they stand for.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseArguments } from '../../../cli/commands/arguments.ts';
import { type Option, UsageError } from '../../../cli/commands/command.ts';
import {
  choiceOption,
  durationOption,
  endpoint,
  given,
  shareOption,
  sizeOption,
} from '../../../cli/commands/values.ts';
import { formatDuration, parseDuration, parseSize } from '../../../cli/config/duration.ts';
import { nearest } from '../../../cli/output/suggest.ts';
import { bytes, span } from '../../../cli/output/views.ts';

const OPTIONS: Readonly<Record<string, Option>> = {
  name: { type: 'string', env: 'T_NAME', default: 'x', doc: '' },
  files: { type: 'string', short: 'f', multiple: true, env: 'T_FILES', doc: '' },
  fast: { type: 'boolean', env: 'T_FAST', doc: '' },
  size: { type: 'string', env: 'T_SIZE', doc: '' },
};
const parse = (argv: readonly string[], env: Record<string, string> = {}) =>
  parseArguments({ options: OPTIONS }, argv, env);

test('an option wins over the environment, which wins over the default', () => {
  assert.equal(parse([]).text('name'), 'x');
  assert.equal(parse([], { T_NAME: 'y' }).text('name'), 'y');
  assert.equal(parse(['--name', 'z'], { T_NAME: 'y' }).text('name'), 'z');
  assert.equal(parse([], { T_NAME: '' }).text('name'), 'x', 'an empty variable is not set');
});

test('a list is repeated options, or one variable with commas', () => {
  assert.deepEqual(parse(['-f', 'a', '--files=b', 'c']).list('files'), ['a', 'b']);
  assert.deepEqual(parse(['-f', 'a', 'c']).positionals, ['c']);
  assert.deepEqual(parse([], { T_FILES: 'a, b' }).list('files'), ['a', 'b']);
  assert.deepEqual(parse([]).list('files'), []);
});

test('a flag may be set by the environment, in four words only', () => {
  assert.equal(parse(['--fast']).flag('fast'), true);
  for (const [value, expected] of [
    ['1', true],
    ['true', true],
    ['0', false],
    ['false', false],
    ['', false],
  ] as const) {
    assert.equal(parse([], { T_FAST: value }).flag('fast'), expected, value);
  }
  assert.throws(
    () => parse([], { T_FAST: 'maybe' }).flag('fast'),
    /^Error: T_FAST: expected true or false, found "maybe"$/,
  );
});

test('an option without its value, and a flag with one, is named', () => {
  for (const argv of [['--name'], ['--name', '--fast'], ['--name', '-x']]) {
    assert.throws(() => parse(argv), /^Error: --name has no value; one that begins with "-" is written --name=VALUE$/);
  }
  assert.throws(() => parse(['-f']), /^Error: --files has no value;/);
  assert.throws(() => parse(['--fast=1']), /^Error: --fast takes no value$/);
  assert.equal(parse(['--name=-x']).text('name'), '-x');
});

test('a message names where the value came from', () => {
  assert.throws(
    () => sizeOption(parse(['--size', '1 GB']), 'size'),
    /--size: expected a size such as 256MiB, found "1 GB"/,
  );
  assert.throws(() => sizeOption(parse([], { T_SIZE: '0' }), 'size'), /T_SIZE: expected a size/);
  assert.throws(() => given(parse([]), 'size'), /--size is missing/);
  assert.throws(() => choiceOption(parse([]), 'name', ['a', 'b']), /--name: expected one of a, b, found "x"/);
  assert.throws(() => durationOption(parse(['--name', '2']), 'name'), UsageError);
});

test('a share is a part of one, as a decimal or as one in so many', () => {
  const shareOf = (text: string) => shareOption(parse([`--name=${text}`]), 'name');
  for (const [text, share] of [
    ['0', 0],
    ['1', 1],
    ['0.25', 0.25],
    ['1.0', 1],
    ['1/1', 1],
    ['1/3', 1 / 3],
    ['1/1000000', 1e-6],
  ] as const) {
    assert.equal(shareOf(text), share, text);
  }
  for (const bad of ['', '-1', '2', '1.5', '1%', '.5', '1e-3', '2/3', '1/0', '1/', '1/-2', 'NaN', ' 1']) {
    assert.throws(() => shareOf(bad), /--name: expected a share from 0 to 1, such as 0\.01 or 1\/100/, bad);
  }
});

test('an address is a host and a port, and 0 only where one listens', () => {
  const args = parse([]);
  for (const good of ['127.0.0.1:1', 'localhost:65535', '[::1]:80', 'a-b.c_d:7']) {
    assert.equal(endpoint(args, 'name', good, 'dial'), good);
  }
  assert.equal(endpoint(args, 'name', '127.0.0.1:0', 'listen'), '127.0.0.1:0');
  for (const bad of [
    '',
    'a',
    ':1',
    'a:',
    'a:0',
    'a:65536',
    '::1:80',
    'http://a:1',
    'a:1/',
    'a b:1',
    '[::1]',
    'a:1e3',
  ]) {
    assert.throws(() => endpoint(args, 'name', bad, 'dial'), UsageError, bad);
  }
});

test('durations and sizes are read as written, and printed so that they read back', () => {
  const durations: readonly (readonly [string, number | undefined])[] = [
    ['250ms', 250],
    ['2s', 2000],
    ['1m', 60_000],
    ['1h', 3_600_000],
    ['0s', 0],
    ['90s', 90_000],
    ['2', undefined],
    ['1.5s', undefined],
    ['-1s', undefined],
    ['1 s', undefined],
    ['1d', undefined],
    ['', undefined],
  ];
  for (const [text, ms] of durations) assert.equal(parseDuration(text), ms, text);
  for (const ms of [0, 1, 999, 1000, 1500, 60_000, 61_000, 3_600_000, 86_400_000]) {
    assert.equal(parseDuration(formatDuration(ms)), ms);
  }
  const sizes: readonly (readonly [string, number | undefined])[] = [
    ['1', 1],
    ['10B', 10],
    ['2KiB', 2048],
    ['256MiB', 268_435_456],
    ['1 GiB', 1_073_741_824],
    ['1MB', undefined],
    ['MiB', undefined],
    ['1.5MiB', undefined],
  ];
  for (const [text, amount] of sizes) assert.equal(parseSize(text), amount, text);
});

test('amounts are shown short', () => {
  assert.deepEqual([0, 1023, 1536, 268_435_456, 2 ** 45].map(bytes), [
    '0 B',
    '1023 B',
    '1.5 KiB',
    '256 MiB',
    '32.0 TiB',
  ]);
  assert.deepEqual([0, 119_000, 120_000, 7_200_000, 172_800_000].map(span), ['0s', '119s', '2m', '2h', '2d']);
});

test('the nearest name is near, or there is none', () => {
  const names = ['defaultTtl', 'enabled', 'pool', 'path'];
  assert.equal(nearest('default_ttl', names), 'defaultTtl');
  assert.equal(nearest('enable', names), 'enabled');
  assert.equal(nearest('pol', names), 'pool');
  assert.equal(nearest('origins', names), undefined);
  assert.equal(nearest('', names), undefined);
  assert.equal(nearest('x'.repeat(100_000), names), undefined);
});
