// Configuration files -> resources, or everything that is wrong with them by file, line and column. Keeps the way back: from
// a problem that the consistency check found, here or in a control plane, to the place in the file.
import { createReadStream } from 'node:fs';
import { isMap, LineCounter, type ParsedNode, parseAllDocuments, visit } from 'yaml';
import { checkConsistency } from '../../proto/consistency.ts';
import type { Problem, ResourceKind } from '../../proto/problems.ts';
import { count } from '../output/text.ts';
import { type FileProblem, listItems, mapEntries, Place, Problems, type Source, type Step } from './place.ts';
import { configuration, type Declared } from './schema.ts';
import type { Type } from './types.ts';

/** Bytes of one file. */
export const MAX_FILE_BYTES = 8 * 1024 * 1024;
/** Uses of anchors in one document: each may stand for much text. */
const MAX_ALIASES = 100;
const TOO_DEEP = 'is nested too deeply to be read';

export interface ConfigText {
  /** As the messages should call it. */
  readonly file: string;
  readonly bytes: Uint8Array;
}

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
  const texts: ConfigText[] = [];
  for (const file of new Set(files)) {
    try {
      const stdin = file === '-' ? options.stdin : undefined;
      const bytes = stdin ? await stdin() : await readBounded(file);
      texts.push({ file: stdin ? '<stdin>' : file, bytes });
    } catch (error) {
      problems.add(wholeFile(file, `cannot be read: ${readFailure(error)}`));
    }
  }
  return problems.list.length > 0 ? refuse(problems) : parseConfig(texts, options.complete ?? false);
}

/** As {@link loadConfig}, for texts at hand. */
export function parseConfig(texts: readonly ConfigText[], complete: boolean): Loaded {
  const problems = new Problems();
  const parts = texts.flatMap((text) => parseText(text, problems));
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

function wholeFile(file: string, message: string): FileProblem {
  return { file, line: 0, column: 0, path: '', message };
}

async function readBounded(file: string): Promise<Uint8Array> {
  const pieces: Buffer[] = [];
  // One byte more than is accepted, so that a file without an end is not read for ever.
  for await (const piece of createReadStream(file, { end: MAX_FILE_BYTES })) pieces.push(piece);
  return Buffer.concat(pieces);
}

function readFailure(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code === 'ENOENT') return 'there is no such file';
  if (code === 'EISDIR') return 'it is a folder; name the files in it';
  if (code === 'EACCES') return 'permission denied';
  return error instanceof Error ? error.message : String(error);
}

function parseText({ file, bytes }: ConfigText, problems: Problems): Part[] {
  if (bytes.length > MAX_FILE_BYTES) {
    problems.add(wholeFile(file, `is larger than ${MAX_FILE_BYTES / 1024 ** 2} MiB`));
    return [];
  }
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    problems.add(wholeFile(file, 'is not UTF-8 text'));
    return [];
  }
  try {
    return parseDocuments(file, text, problems);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    problems.add(wholeFile(file, TOO_DEEP));
    return [];
  }
}

function parseDocuments(file: string, text: string, problems: Problems): Part[] {
  const lines = new LineCounter();
  // Keys are checked for being unique when they are read: the parser's own check takes quadratic time.
  const documents = parseAllDocuments(text, {
    lineCounter: lines,
    prettyErrors: false,
    stringKeys: true,
    uniqueKeys: false,
    schema: 'core',
    logLevel: 'silent',
  });
  const parts: Part[] = [];
  let empty = true;
  for (const document of 'empty' in documents ? [] : documents) {
    const anchors = new Map<string, ParsedNode>();
    const source: Source = { file, lines, anchors, problems };
    const at = (offset: number, message: string): void =>
      problems.add(new Place(source, '', offset, offset).problem(message, offset));
    // What follows the first error is mostly its consequence. A warning is a tag that nobody knows, and not to be ignored.
    const faults = document.errors.length > 0 ? document.errors.slice(0, 1) : document.warnings;
    for (const fault of faults) at(fault.pos[0], sentence(fault.message));
    if (faults.length > 0 || !checkAliases(document.contents, anchors, at)) {
      empty = false;
      continue;
    }
    const root = document.contents;
    // Nothing but comments, before or between documents.
    if (root === null || (!isMap(root) && root.range[0] === root.range[1])) continue;
    empty = false;
    const declared = configuration.read(root, new Place(source, '', root.range[0], root.range[0]));
    if (declared) parts.push({ source, root, declared });
  }
  if (empty) problems.add(wholeFile(file, 'declares nothing: expected a mapping with sites, pools or edges'));
  return parts;
}

function sentence(message: string): string {
  const [first = ''] = message.split('\n');
  // The parser catches its own overflow.
  if (first.includes('call stack')) return TOO_DEEP;
  return `not valid YAML: ${first}`;
}

/** Fills `anchors`; false after reporting what is wrong with them. */
function checkAliases(
  root: ParsedNode | null,
  anchors: Map<string, ParsedNode>,
  at: (offset: number, message: string) => void,
): boolean {
  let aliases = 0;
  let sound = true;
  const report = (node: { range?: readonly number[] | null }, message: string): void => {
    at(node.range?.[0] ?? 0, message);
    sound = false;
  };
  visit(root, {
    Alias(_key, node) {
      aliases += 1;
      if (!anchors.has(node.source)) report(node, `there is no anchor "&${node.source}" before this`);
      if (aliases === MAX_ALIASES + 1) report(node, `more than ${count(MAX_ALIASES, 'use')} of anchors`);
    },
    Value(_key, node) {
      if (node.anchor === undefined) return;
      if (anchors.has(node.anchor)) report(node, `there are two anchors "&${node.anchor}"`);
      // The parser made it, so it is a parsed node.
      anchors.set(node.anchor, node as ParsedNode);
    },
  });
  return sound;
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
