// What passes for a message between threads, and how the lines of a worker's log are bounded.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type FromWorker, readFromWorker, readToWorker } from '../../../../edge-node/io/threads/messages.ts';
import { relayedLog } from '../../../../edge-node/io/threads/relayed-log.ts';
import { FakeClock } from '../../../support/fake-clock.ts';

test('a message is of a known kind and has what belongs to it', () => {
  assert.deepEqual(readFromWorker({ kind: 'prepared', id: 1 }), { kind: 'prepared', id: 1 });
  assert.deepEqual(readToWorker({ kind: 'close' }), { kind: 'close' });
  for (const value of [
    undefined,
    null,
    'started',
    1,
    [],
    {},
    { kind: 7 },
    { kind: 'toString' },
    { kind: 'prepared' },
  ]) {
    assert.equal(readFromWorker(value), undefined);
  }
  assert.equal(readFromWorker({ kind: 'refused', id: 1 }), undefined);
  assert.equal(readFromWorker({ kind: 'listening', http: null }), undefined);
  assert.equal(readToWorker({ kind: 'commit', id: '1' }), undefined);
});

test('lines of a worker go to the main thread with its number, and what is too much is counted', () => {
  const clock = new FakeClock();
  const lines: (FromWorker & { kind: 'log' })[] = [];
  const log = relayedLog((line) => lines.push(line), clock, 3);
  log.warn({ reason: 'x' }, 'said');
  assert.deepEqual(lines[0], { kind: 'log', level: 'warn', fields: { reason: 'x', thread: 3 }, message: 'said' });
  for (let i = 0; i < 1_000; i += 1) log.debug({}, 'flood');
  assert.equal(lines.length, 200);
  clock.advance(1_000);
  log.error({}, 'after');
  assert.deepEqual(lines.at(-1)?.fields, { thread: 3, linesLeftOut: 801 });
});

test('a line whose details cannot be passed between threads is told without them', () => {
  const lines: object[] = [];
  const say = (line: FromWorker & { kind: 'log' }): void => void lines.push(structuredClone(line));
  relayedLog(say, new FakeClock(), 1).error({ callback: () => undefined }, 'failed');
  assert.deepEqual(lines, [{ kind: 'log', level: 'error', fields: { thread: 1 }, message: 'failed' }]);
});
