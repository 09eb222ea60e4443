// Whatever stands in a file: resources or problems, never a crash, and never resources that a control plane could misread.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { parseConfig } from '../../../cli/config/load.ts';
import { formatFileProblem } from '../../../cli/config/place.ts';
import { toYaml } from '../../../cli/config/print.ts';
import { loadScenario, plainScenario } from '../../../cli/simulation/file.ts';
import { STEERING } from '../../../cli/simulation/reference.ts';
import { type Random, seededRandom } from '../../../infra/runtime/random.ts';
import { checkConsistency } from '../../../proto/consistency.ts';
import { Snapshot } from '../../../proto/gen/meridian/v1/resources.ts';

const ROUNDS = 1500;
const SCENARIO_ROUNDS = 500;
const SEED = 20_260_101;

const PIECES = [
  ...['sites', 'pools', 'edges', 'origins', 'location', 'cache', 'healthCheck', 'latitude', '__proto__', 'constructor'],
  ...[
    ': ',
    ':',
    '- ',
    '{',
    '}',
    '[',
    ']',
    ',',
    '\n',
    '  ',
    '\t',
    '"',
    "'",
    '&a ',
    '*a',
    '!x ',
    '!!map ',
    '|',
    '>',
    '?',
  ],
  ...['---\n', '...\n', '%YAML 1.1\n', '#', '~', 'null', 'true', '1', '-1', '.nan', '.inf', '1e999', '2s', '9999999h'],
  ...['\u0000', '\u001b', '\u2028', '\ufeff', '\ud83d', '𝄞', 'é', '<<', '0x', '0o9', '\\'],
];

function mutate(text: string, random: Random): string {
  const pick = (length: number) => Math.floor(random.next() * length);
  let out = text;
  for (let edits = pick(1 + pick(6)); edits >= 0; edits -= 1) {
    const at = pick(out.length + 1);
    const end = at + pick(random.next() < 0.2 ? 200 : 6);
    const piece =
      random.next() < 0.3 ? out.slice(pick(out.length), pick(out.length)).slice(0, 300) : PIECES[pick(PIECES.length)];
    out = out.slice(0, at) + piece + out.slice(end);
  }
  return out;
}

test('mutated examples never crash the reader, and what it accepts keeps its meaning', async () => {
  const random = seededRandom(SEED);
  const examples = await Promise.all(
    ['cities', 'shop'].map((name) => readFile(new URL(`../../../docs/examples/${name}.yaml`, import.meta.url), 'utf8')),
  );
  let accepted = 0;
  for (let round = 0; round < ROUNDS; round += 1) {
    const text = mutate(examples[round % 2] ?? '', random);
    const bytes = new TextEncoder().encode(text);
    const loaded = parseConfig([{ file: 'f.yaml', bytes }], round % 4 < 2);
    const context = `seed ${SEED}, round ${round}:\n${text}`;
    if (loaded.kind === 'problems') {
      assert.ok(loaded.problems.length > 0, context);
      for (const problem of loaded.problems) {
        assert.match(formatFileProblem(problem), /^f\.yaml:(?:\d+:\d+:)? \P{Cc}+$/u, context);
      }
      continue;
    }
    accepted += 1;
    const snapshot = { version: undefined, ...loaded.resources, drained: [] };
    // As JSON, in which a field that is not set is the same as one that is undefined.
    const decoded = Snapshot.decode(Snapshot.encode(snapshot).finish());
    assert.deepEqual(Snapshot.toJSON(decoded), Snapshot.toJSON(snapshot), context);
    const again = parseConfig([{ file: 'g.yaml', bytes: new TextEncoder().encode(toYaml(loaded.resources)) }], false);
    assert.equal(again.kind === 'loaded' && toYaml(again.resources), toYaml(loaded.resources), context);
    for (const problem of checkConsistency(loaded.resources)) {
      const place = loaded.locate(problem);
      assert.ok(place && place.line > 0, context);
    }
  }
  assert.ok(accepted > ROUNDS / 30 && accepted < ROUNDS, `${accepted} of ${ROUNDS} accepted: the mutations are off`);
});

test('mutated scenarios never crash the reader either, and what it accepts keeps its meaning', async () => {
  const random = seededRandom(SEED);
  const load = (text: string) => loadScenario('-', () => Promise.resolve(new TextEncoder().encode(text)));
  let accepted = 0;
  for (let round = 0; round < SCENARIO_ROUNDS; round += 1) {
    const text = mutate(STEERING, random);
    const loaded = await load(text);
    const context = `seed ${SEED}, round ${round}:\n${text}`;
    if (loaded.kind === 'problems') {
      assert.ok(loaded.problems.length > 0, context);
      for (const problem of loaded.problems) {
        assert.match(formatFileProblem(problem), /^<stdin>:(?:\d+:\d+:)? \P{Cc}+$/u, context);
      }
      continue;
    }
    accepted += 1;
    assert.deepEqual(await load(JSON.stringify(plainScenario(loaded.scenario))), loaded, context);
  }
  assert.ok(
    accepted > SCENARIO_ROUNDS / 30 && accepted < SCENARIO_ROUNDS,
    `${accepted} accepted: the mutations are off`,
  );
});
