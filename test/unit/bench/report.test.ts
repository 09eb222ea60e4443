import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Measurement } from '../../../bench/measure.ts';
import { page } from '../../../bench/report/page.ts';
import { checkTable, detailTable, ratioTable, remarks } from '../../../bench/report/report.ts';
import { digits, duration, markdownTable } from '../../../bench/report/table.ts';
import { hasFailed, type Outcome, type Result } from '../../../bench/result.ts';
import { allRows, type Row } from '../../../bench/rows.ts';

const MIB = 1024 ** 2;

function measured(...values: readonly (number | Partial<Measurement>)[]): Outcome {
  const whole = {
    p50Us: 500,
    p99Us: 2_500,
    cpuUs: 24.26,
    busy: 0.99,
    disturbed: 0.01,
    pssBytes: 15 * MIB,
    rssBytes: 0,
  };
  const rounds = values.map((given) => ({
    ...whole,
    value: 0,
    notes: [],
    ...(typeof given === 'number' ? { value: given } : given),
  }));
  return { kind: 'measured', rounds };
}

function row(id: string): Row {
  const found = allRows(false).find((one) => one.id === id);
  assert.ok(found);
  return found;
}

function result(rows: Readonly<Record<string, readonly [Outcome, Outcome]>>): Result {
  return {
    date: '2026-01-02T03:04:05.678Z',
    machine: { cpu: 'Some CPU', cores: 2, memoryBytes: 4 * 1024 ** 3, kernel: 'Linux 6' },
    rounds: 3,
    seconds: 3,
    servers: [
      { name: 'ours', title: 'Ours', version: '1.2.3' },
      { name: 'base', title: 'Base', version: undefined },
    ],
    tools: { wrk: '4.1.0' },
    rows: Object.entries(rows).map(([id, [ours, base]]) => ({ row: row(id), outcomes: { ours, base } })),
  };
}

test('numbers keep three digits', () => {
  assert.deepEqual([41_273, 102.4, 7.308, 0.4516, 0, 9.999, 0.01234].map(digits), [
    '41,300',
    '102',
    '7.31',
    '0.452',
    '0',
    '10.0',
    '0.012',
  ]);
  assert.equal(digits(Number.NaN), '–');
  assert.deepEqual([24.26, 1_500, 2_340_000, Number.NaN].map(duration), ['24.3 µs', '1.50 ms', '2.34 s', '–']);
});

test('columns of a table line up, and a bar in a cell does not end it', () => {
  const columns = [{ title: 'A' }, { title: 'Rate', align: 'right' }] as const;
  const text = markdownTable(columns, [['x', '1'], ['a|b', '1,000'], ['y']]);
  assert.equal(text, '| A    |  Rate |\n| ---- | ----: |\n| x    |     1 |\n| a\\|b | 1,000 |\n| y    |       |\n');
});

test('the ratios say median and spread of the rounds', () => {
  const table = ratioTable(result({ 'hit-1k': [measured(90, 120, 110), measured(100, 100, 100)] }), 'base');
  assert.match(table, /\| Hit, 1 KiB \| requests\/s \| 1\.10 \(0\.90–1\.20\) \| +1 \|/);
});

test('a rate that the load bounds is marked, and it is said what the mark means', () => {
  const found = result({ 'hit-1k': [measured({ value: 100, busy: 0.6 }), measured(100)] });
  assert.match(ratioTable(found, 'base'), /1\.00 \(1\.00–1\.00\) \*/);
  assert.match(remarks(found).join('\n'), /\*: the server used less than 90 % of its core/);
});

test('memory says that less is better', () => {
  const table = ratioTable(result({ idle: [measured(10), measured(5)] }), 'base');
  assert.match(table, /KiB\/connection, less is better \| 2\.00 /);
});

test('what a server cannot do is a dash with a reason, said once for all its rows', () => {
  const cannot: Outcome = { kind: 'left-out', reason: 'has no TLS listener' };
  const found = result({
    'tls-hit-1k': [cannot, measured(1)],
    'h2-hit-1k': [cannot, measured(1)],
    'hit-1k': [measured(1), measured(1)],
  });
  assert.match(ratioTable(found, 'base'), /HTTP\/2 +\| requests\/s \| +– \|/);
  assert.deepEqual(remarks(found), ['–: Ours has no TLS listener (tls-hit-1k, h2-hit-1k).']);
  assert.equal(hasFailed(found), false);
});

test('what failed is said first, and loudly', () => {
  const failed: Outcome = { kind: 'failed', reason: '3 timed out' };
  const found = result({
    'hit-1k': [failed, measured(1)],
    large: [measured({ value: 1, disturbed: 0.5 }), measured(1)],
  });
  assert.match(ratioTable(found, 'base'), /FAILED/);
  const [first, second] = remarks(found);
  assert.equal(first, 'FAILED (hit-1k): Ours: 3 timed out');
  assert.match(second ?? '', /not quiet: other programs took up to 0\.5 of the benchmark's two cores/);
  assert.equal(hasFailed(found), true);
});

test('without the base there are numbers but no ratios', () => {
  const found = result({ 'hit-1k': [measured(41_273), { kind: 'left-out', reason: 'is not installed' }] });
  assert.match(ratioTable(found, 'base'), /requests\/s \| +– \| +– \|/);
  assert.match(
    detailTable(found),
    /\| Ours +\| 41,300 \| requests\/s \| 500 µs \| 2\.50 ms \| +24\.3 µs \| +99 % \| 15\.0 MiB \|/,
  );
  assert.deepEqual(remarks(found), ['–: Base is not installed (all rows).']);
});

test('notes of single rounds are told once', () => {
  const noted = { value: 1, notes: ['logged 99.0 % of the requests'] };
  const found = result({ 'hit-1k-log': [measured(noted, noted), measured(1, 1)] });
  assert.deepEqual(remarks(found), ['hit-1k-log: Ours logged 99.0 % of the requests.']);
});

test('a short run says what is well, without numbers', () => {
  const found = result({
    'hit-1k': [measured(1), { kind: 'failed', reason: 'x' }],
    idle: [{ kind: 'left-out', reason: 'y' }, measured(1)],
  });
  assert.match(
    checkTable(found),
    /\| Hit, 1 KiB +\| ok +\| FAILED \|\n\| Memory of 10,000 idle connections \| – +\| ok +\|/,
  );
});

test('the page says when, where and with which versions', () => {
  const text = page(result({ 'hit-1k': [measured(2), measured(1)] }), 'base');
  assert.match(text, /Measured: 2026-01-02, 3 rounds of 3 s/);
  assert.match(text, /Machine: Some CPU, 2 cores, 4 GiB, Linux 6/);
  assert.match(text, /Ours 1\.2\.3, Base \(not installed\), wrk 4\.1\.0/);
  assert.match(text, /## Ratios to Base/);
});
