// Problems on their way from the control plane to the person who can mend them.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatProblem, type Problem, parseProblems } from '../../../proto/problems.ts';

const bytes = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));

test('a problem reads as a sentence that says where', () => {
  const problem = { kind: 'site', name: 'demo', message: 'there is no pool "x"' } as const;
  assert.equal(formatProblem({ ...problem, path: [] }), 'site "demo": there is no pool "x"');
  assert.equal(
    formatProblem({ ...problem, path: ['routes', 0, 'pool'] }),
    'site "demo", routes[0].pool: there is no pool "x"',
  );
});

test('problems arrive as they were sent', () => {
  const sent: Problem[] = [
    { kind: 'site', name: 'démo', path: [], message: 'a' },
    { kind: 'pool', name: '', path: ['origins', 3, 'location', 'latitude'], message: 'b "c"\n' },
    { kind: 'edge', name: 'edge-1', path: ['trusted_proxies', 0], message: '' },
  ];
  assert.deepEqual(parseProblems(bytes(sent)), sent);
  assert.deepEqual(parseProblems(bytes([])), []);
});

test('what is not a list of problems is not taken for one', () => {
  const sound = { kind: 'site', name: 'demo', path: ['a', 0], message: 'b' };
  const broken: unknown[] = [null, {}, 'text', 1, [null], ['text'], [sound, {}]];
  for (const key of Object.keys(sound)) broken.push([{ ...sound, [key]: undefined }], [{ ...sound, [key]: 1 }]);
  broken.push([{ ...sound, kind: 'city' }], [{ ...sound, path: [{}] }], [{ ...sound, path: [null] }]);
  for (const value of broken) assert.equal(parseProblems(bytes(value)), undefined, JSON.stringify(value));
  assert.equal(parseProblems(new Uint8Array([0xff, 0x7b])), undefined);
  assert.equal(parseProblems(new Uint8Array()), undefined);
});
