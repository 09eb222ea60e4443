// What came of the tests: their own judgement, from what their client printed. Pure.

export type Kind = 'required' | 'optimal' | 'check';

export interface CacheTest {
  readonly id: string;
  readonly kind: Kind;
  /** Tests that must hold for this one to say anything. */
  readonly dependsOn: readonly string[];
}

/** By test: true, or what was wrong. */
export type Outcomes = ReadonlyMap<string, true | string>;

export interface Share {
  readonly passed: number;
  readonly all: number;
}

export interface Score {
  readonly required: Share;
  /** Of the required, those that are not superseded. */
  readonly current: Share;
  readonly optimal: Share;
  /** The others, required or optimal, and why. */
  readonly missed: ReadonlyMap<string, string>;
}

/** The tests that concern caches in front of origins. Throws a TypeError for what is no list of suites of tests. */
export function parseTests(module: unknown): readonly CacheTest[] {
  const tests: CacheTest[] = [];
  for (const suite of list(get(module, 'default'), 'suites')) {
    for (const test of list(get(suite, 'tests'), 'tests')) {
      if (get(test, 'browser_only') === true) continue;
      const id = get(test, 'id');
      const kind = get(test, 'kind') ?? 'required';
      if (typeof id !== 'string' || !isKind(kind)) throw new TypeError('a test without id, or of a kind unknown here');
      tests.push({ id, kind, dependsOn: list(get(test, 'depends_on') ?? [], 'dependencies').map(String) });
    }
  }
  return tests;
}

/** `text`: an object of results by test. Throws a SyntaxError, or a TypeError, for anything else. */
export function parseOutcomes(text: string): Outcomes {
  const all: unknown = JSON.parse(text);
  if (typeof all !== 'object' || all === null) throw new TypeError('no results');
  return new Map(
    Object.entries(all).map(
      ([id, result]) => [id, result === true ? true : list(result, 'result').join(': ')] as const,
    ),
  );
}

export function score(tests: readonly CacheTest[], outcomes: Outcomes, superseded: ReadonlySet<string>): Score {
  const byId = new Map(tests.map((test) => [test.id, test]));
  const missed = new Map<string, string>();
  for (const test of tests) {
    const why = failure(test, byId, outcomes);
    if (why !== undefined && test.kind !== 'check') missed.set(test.id, why);
  }
  const share = (counted: readonly CacheTest[]): Share => ({
    passed: counted.filter(({ id }) => !missed.has(id)).length,
    all: counted.length,
  });
  const required = tests.filter(({ kind }) => kind === 'required');
  return {
    required: share(required),
    current: share(required.filter(({ id }) => !superseded.has(id))),
    optimal: share(tests.filter(({ kind }) => kind === 'optimal')),
    missed,
  };
}

/** Undefined: it passed, as did all that it depends on. */
function failure(test: CacheTest, byId: ReadonlyMap<string, CacheTest>, outcomes: Outcomes): string | undefined {
  const outcome = outcomes.get(test.id) ?? 'not run';
  for (const id of test.dependsOn) {
    const other = byId.get(id);
    if (other === undefined || failure(other, byId, outcomes) !== undefined) return `depends on ${id}`;
  }
  return outcome === true ? undefined : outcome;
}

function isKind(kind: unknown): kind is Kind {
  return kind === 'required' || kind === 'optimal' || kind === 'check';
}

function get(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined;
}

function list(value: unknown, what: string): readonly unknown[] {
  if (!Array.isArray(value)) throw new TypeError(`expected a list of ${what}`);
  return value;
}
