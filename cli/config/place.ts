// Where in a file a value stands, so that what is wrong with it can be said with line and column.
import { isAlias, isMap, isScalar, isSeq, type LineCounter, type ParsedNode } from 'yaml';
import { LIMITS } from '../../proto/limits.ts';
import { clip, printable } from '../output/text.ts';

/** What is wrong in a file. */
export interface FileProblem {
  readonly file: string;
  /** From 1; 0 when the whole file is meant. */
  readonly line: number;
  /** From 1; 0 when the whole file is meant. */
  readonly column: number;
  /** `sites.demo.routes[0].pool`; may be empty. */
  readonly path: string;
  readonly message: string;
}

/** `FILE:LINE:COLUMN: PATH: MESSAGE`, as compilers write it and editors read it. */
export function formatFileProblem(problem: FileProblem): string {
  const where = problem.path === '' ? '' : `${problem.path}: `;
  const line = problem.line === 0 ? '' : `${problem.line}:${problem.column}:`;
  return printable(`${problem.file}:${line} ${where}${problem.message}`);
}

/** Collects problems, at most {@link LIMITS.problems}; the rest are only counted. */
export class Problems {
  readonly list: FileProblem[] = [];
  omitted = 0;

  add(problem: FileProblem): void {
    if (this.list.length < LIMITS.problems) this.list.push(problem);
    else this.omitted += 1;
  }
}

/** One YAML document of one file. */
export interface Source {
  readonly file: string;
  readonly lines: LineCounter;
  readonly anchors: ReadonlyMap<string, ParsedNode>;
  readonly problems: Problems;
}

export type Step = string | number;

/** A value's place: its path for people, and the offsets of its name and of itself. */
export class Place {
  readonly source: Source;
  readonly path: string;
  /** Offset of the key, or of the value where there is none. */
  readonly nameOffset: number;
  readonly offset: number;

  constructor(source: Source, path: string, nameOffset: number, offset: number) {
    this.source = source;
    this.path = path;
    this.nameOffset = nameOffset;
    this.offset = offset;
  }

  /** The place of the value that `step` leads to from here. */
  child(step: Step, value: ParsedNode | null, key?: ParsedNode): Place {
    const offset = value?.range[0] ?? key?.range[0] ?? this.offset;
    return new Place(this.source, joinPath(this.path, step), key?.range[0] ?? offset, offset);
  }

  report(message: string): void {
    this.source.problems.add(this.problem(message, this.offset));
  }

  /** Reports at the name rather than the value: for what is missing inside, or wrong with the name. */
  reportName(message: string): void {
    this.source.problems.add(this.problem(message, this.nameOffset));
  }

  problem(message: string, offset: number): FileProblem {
    const { line, col } = this.source.lines.linePos(offset);
    return { file: this.source.file, line: Math.max(1, line), column: Math.max(1, col), path: this.path, message };
  }
}

function joinPath(path: string, step: Step): string {
  if (typeof step === 'number') return `${path}[${step}]`;
  const name = clip(step);
  return path === '' ? name : `${path}.${name}`;
}

/** The node that an alias stands for; others as they are. */
export function resolve(node: ParsedNode | null, source: Source): ParsedNode | null {
  return isAlias(node) ? (source.anchors.get(node.source) ?? null) : node;
}

export interface Entry {
  readonly name: string;
  readonly key: ParsedNode;
  readonly value: ParsedNode | null;
}

/** The entries of a mapping in the file's order; undefined when `node` is none. Keys are text (the parser saw to it). */
export function mapEntries(node: ParsedNode | null, source: Source): Entry[] | undefined {
  const map = resolve(node, source);
  if (!isMap(map)) return undefined;
  return map.items.map(({ key, value }) => ({ name: isScalar(key) ? String(key.value) : '', key, value }));
}

/** The items of a list; undefined when `node` is none. */
export function listItems(node: ParsedNode | null, source: Source): ParsedNode[] | undefined {
  const list = resolve(node, source);
  return isSeq(list) ? list.items.map((item) => item as ParsedNode) : undefined;
}

/** What stands there, for "found ...": `true`, `"abc"`, `a list`, `nothing`. At most 80 characters. */
export function found(node: ParsedNode | null): string {
  if (isMap(node)) return 'a mapping';
  if (isSeq(node)) return 'a list';
  if (!isScalar(node) || node.value === null) return 'nothing';
  return typeof node.value === 'string' ? `"${clip(node.value)}"` : clip(node.source ?? String(node.value));
}
