import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseOptions, UsageError } from '../../../bench/options.ts';

const KNOWN = { rows: ['hit-1k', 'idle'], servers: ['meridian', 'nginx'] };
const parse = (...argv: readonly string[]) => parseOptions(argv, KNOWN);

test('without options everything is measured', () => {
  const all = {
    rows: undefined,
    servers: undefined,
    rounds: 5,
    seconds: 3,
    patience: 300,
    smoke: false,
    json: false,
    write: false,
  };
  assert.deepEqual(parse(), all);
  assert.equal(parse('--help'), undefined);
});

test('the short form has one turn of half a second, unless told otherwise', () => {
  assert.deepEqual([parse('--smoke')?.rounds, parse('--smoke')?.seconds, parse('--smoke')?.patience], [1, 0.5, 0]);
  assert.equal(parse('--smoke', '--seconds', '1')?.seconds, 1);
});

test('rows and servers are chosen by name', () => {
  const options = parse('--rows', 'idle,hit-1k', '--servers=nginx');
  assert.deepEqual([options?.rows, options?.servers], [['idle', 'hit-1k'], ['nginx']]);
});

const WRONG: readonly (readonly [readonly string[], RegExp])[] = [
  [['--rows', 'hit-2k'], /--rows: there is no "hit-2k"; there are hit-1k, idle/],
  [['--servers', 'nginx,'], /--servers: there is no ""/],
  [['--rounds', '0'], /--rounds: expected a whole number from 1 to 100, found "0"/],
  [['--rounds', '1.5'], /--rounds/],
  [['--seconds', 'many'], /--seconds: expected a number from 0.1 to 600/],
  [['--seconds', ''], /--seconds/],
  [['--speed'], /--speed/],
  [['hit-1k'], /hit-1k/],
  [['--smoke', '--write'], /--smoke measures nothing/],
];

for (const [argv, message] of WRONG) {
  test(`"${argv.join(' ')}" is refused with the reason`, () => {
    assert.throws(
      () => parse(...argv),
      (error) => error instanceof UsageError && message.test(error.message),
    );
  });
}
