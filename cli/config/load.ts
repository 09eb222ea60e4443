// Configuration files -> resources, or everything that is wrong with them by file, line and column. Keeps the way back: from
// a problem that the consistency check found, here or in a control plane, to the place in the file.
import type { ParsedNode } from 'yaml';
import { checkConsistency } from '../../proto/consistency.ts';
import type { Problem, ResourceKind } from '../../proto/problems.ts';
import { type ConfigText, readDocuments, readTexts, wholeFile } from './documents.ts';
import { type FileProblem, listItems, mapEntries, Place, Problems, type Source, type Step } from './place.ts';
import { configuration, type Declared } from './schema.ts';
import type { Type } from './types.ts';

export type Loaded =
  | {
      readonly kind: 'loaded';
      readonly resources: Declared;
      /** Where in the files a problem lies; undefined when it is with something that they do not declare. */
      locate(problem: Problem): FileProblem | undefined;
    }
  | {
      readonly kind: 'problems';
      readonly problems: readonly FileProblem[];
      /** How many more there are that are not listed. */
      readonly omitted: number;
    };

interface Part {
  readonly source: Source;
  readonly root: ParsedNode;
  readonly declared: Declared;
}

export interface LoadOptions {
  /** The files are all there is: what they refer to must be in them too. */
  readonly complete?: boolean;
  /** What `-` reads. */
  readonly stdin?: () => Promise<Uint8Array>;
}

/** Reads `files`; `-` is standard input. Never throws for what is in them, nor for one that cannot be read. */
export async function loadConfig(files: readonly string[], options: LoadOptions = {}): Promise<Loaded> {
  const problems = new Problems();
  const texts = await readTexts(files, problems, options.stdin);
  return problems.list.length > 0 ? refuse(problems) : parseConfig(texts, options.complete ?? false);
}

/** As {@link loadConfig}, for texts at hand. */
export function parseConfig(texts: readonly ConfigText[], complete: boolean): Loaded {
  const problems = new Problems();
  const parts = texts.flatMap((text): Part[] =>
    readDocuments(text, configuration, 'a mapping with sites, pools or edges', problems).map(
      ({ source, root, value }) => ({ source, root, declared: value }),
    ),
  );
  if (problems.list.length > 0) return refuse(problems);
  checkDeclaredOnce(parts, problems);
  const resources = {
    sites: parts.flatMap((part) => part.declared.sites),
    pools: parts.flatMap((part) => part.declared.pools),
    edges: parts.flatMap((part) => part.declared.edges),
  };
  const locate = (problem: Problem): FileProblem | undefined => locateIn(parts, problem);
  if (complete && problems.list.length === 0) {
    for (const problem of checkConsistency(resources)) {
      problems.add(locate(problem) ?? wholeFile(texts[0]?.file ?? '', problem.message));
    }
  }
  return problems.list.length > 0 ? refuse(problems) : { kind: 'loaded', resources, locate };
}

function refuse(problems: Problems): Loaded {
  return { kind: 'problems', problems: problems.list, omitted: problems.omitted };
}

const PLURAL = { site: 'sites', pool: 'pools', edge: 'edges' } as const;
const KINDS = ['site', 'pool', 'edge'] as const satisfies readonly ResourceKind[];

function checkDeclaredOnce(parts: readonly Part[], problems: Problems): void {
  for (const kind of KINDS) {
    const first = new Map<string, Part>();
    for (const part of parts) {
      for (const { name } of part.declared[PLURAL[kind]]) {
        const before = first.get(name);
        first.set(name, before ?? part);
        if (!before) continue;
        const problem = { kind, name, path: [], message: '' };
        const where = locateIn([before], problem);
        const here = locateIn([part], problem);
        const message = `${kind} "${name}" is already declared at ${where?.file}:${where?.line}:${where?.column}`;
        if (here) problems.add({ ...here, message });
      }
    }
  }
}

function locateIn(parts: readonly Part[], problem: Problem): FileProblem | undefined {
  const part = parts.find(({ declared }) => declared[PLURAL[problem.kind]].some(({ name }) => name === problem.name));
  if (!part) return undefined;
  const { source, root } = part;
  let type: Type<unknown> = configuration;
  let node: ParsedNode | null = root;
  let place = new Place(source, '', root.range[0], root.range[0]);
  let byName = false;
  for (const step of [PLURAL[problem.kind], problem.name, ...problem.path]) {
    const next = follow(type, node, step, place);
    if (!next) {
      byName = true;
      break;
    }
    byName = type.shape.kind === 'named';
    ({ type, node, place } = next);
  }
  return place.problem(problem.message, byName ? place.nameOffset : place.offset);
}

/** One step of a problem's path; undefined when it leads to what the file leaves to a default. */
function follow(
  type: Type<unknown>,
  node: ParsedNode | null,
  step: Step,
  place: Place,
): { type: Type<unknown>; node: ParsedNode | null; place: Place } | undefined {
  const { shape } = type;
  if (shape.kind === 'list' && typeof step === 'number') {
    const item = listItems(node, place.source)?.[step];
    return item && { type: shape.item, node: item, place: place.child(step, item) };
  }
  const entries = mapEntries(node, place.source);
  const field = shape.kind === 'message' ? shape.fields.find(({ proto }) => proto === step) : undefined;
  const child = shape.kind === 'named' ? shape.entry : field?.type;
  const wanted = field ? field.name : step;
  const entry = typeof wanted === 'number' ? entries?.[wanted] : entries?.find(({ name }) => name === wanted);
  return child && entry && { type: child, node: entry.value, place: place.child(entry.name, entry.value, entry.key) };
}
