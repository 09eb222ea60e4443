// What is wrong with a configuration, in a form that a file's line can be found for.

export type ResourceKind = 'site' | 'pool' | 'edge';

export interface Problem {
  readonly kind: ResourceKind;
  /** Name of the resource. */
  readonly name: string;
  /** Where inside it, by proto field names and indexes: `['routes', 0, 'pool']`. Empty: the resource itself. */
  readonly path: readonly (string | number)[];
  /** A sentence: what is wrong and what was expected. */
  readonly message: string;
}

/** gRPC trailing metadata key under which a server sends `JSON.stringify(problems)` with INVALID_ARGUMENT. */
export const PROBLEMS_METADATA = 'meridian-problems-bin';

/** `site "demo", routes[0].pool: there is no pool "cities"`. */
export function formatProblem(problem: Problem): string {
  let where = '';
  for (const step of problem.path) {
    if (typeof step === 'number') where += `[${step}]`;
    else where += where === '' ? step : `.${step}`;
  }
  return `${problem.kind} "${problem.name}"${where === '' ? '' : `, ${where}`}: ${problem.message}`;
}

/** Reads what a server sent; undefined when it is not a list of problems. */
export function parseProblems(bytes: Uint8Array): Problem[] | undefined {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    return undefined;
  }
  return Array.isArray(value) && value.every(isProblem) ? value : undefined;
}

function isProblem(value: unknown): value is Problem {
  if (typeof value !== 'object' || value === null) return false;
  return (
    'kind' in value &&
    (value.kind === 'site' || value.kind === 'pool' || value.kind === 'edge') &&
    'name' in value &&
    typeof value.name === 'string' &&
    'path' in value &&
    Array.isArray(value.path) &&
    value.path.every((step) => typeof step === 'string' || typeof step === 'number') &&
    'message' in value &&
    typeof value.message === 'string'
  );
}
