// Files of YAML -> what their documents hold, or what is wrong with them by file, line and column; whatever they describe.
import { createReadStream } from 'node:fs';
import { isMap, LineCounter, type ParsedNode, parseAllDocuments, visit } from 'yaml';
import { count } from '../output/text.ts';
import { type FileProblem, Place, type Problems, type Source } from './place.ts';
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

export interface DocumentOf<T> {
  readonly source: Source;
  readonly root: ParsedNode;
  readonly value: T;
}

/** The files that can be read; the others are reported. `stdin`: what `-` reads. Never throws. */
export async function readTexts(
  files: readonly string[],
  problems: Problems,
  stdin?: () => Promise<Uint8Array>,
): Promise<ConfigText[]> {
  const texts: ConfigText[] = [];
  for (const file of new Set(files)) {
    try {
      const given = file === '-' ? stdin : undefined;
      const bytes = given ? await given() : await readBounded(file);
      texts.push({ file: given ? '<stdin>' : file, bytes });
    } catch (error) {
      problems.add(wholeFile(file, `cannot be read: ${readFailure(error)}`));
    }
  }
  return texts;
}

/** What is wrong with all of a file. */
export function wholeFile(file: string, message: string): FileProblem {
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

/**
 * What the documents of a text hold, those with problems left out. `expected`: what one should be, for a text without any.
 */
export function readDocuments<T>(
  { file, bytes }: ConfigText,
  type: Type<T>,
  expected: string,
  problems: Problems,
): DocumentOf<T>[] {
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
    return parseDocuments(file, text, type, expected, problems);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    problems.add(wholeFile(file, TOO_DEEP));
    return [];
  }
}

function parseDocuments<T>(
  file: string,
  text: string,
  type: Type<T>,
  expected: string,
  problems: Problems,
): DocumentOf<T>[] {
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
  const read: DocumentOf<T>[] = [];
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
    const value = type.read(root, new Place(source, '', root.range[0], root.range[0]));
    if (value !== undefined) read.push({ source, root, value });
  }
  if (empty) problems.add(wholeFile(file, `declares nothing: expected ${expected}`));
  return read;
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
