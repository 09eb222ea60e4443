// A section of field lines (RFC 9112 section 5), of a head or of trailers: from its octets to the flat list of fields.ts. Left
// to right, and the first octet that may not stand where it stands refuses the whole: no folded lines (section 5.2), no space
// before the colon (5.1), no bare CR or LF (2.2), no control character in a value.
import type { FieldList } from '../fields.ts';
import { NAME_START, NAME_STEP, nameAt, otherName } from './field-names.ts';
import { TOKEN_LOWER } from './octets.ts';
import { INCOMPLETE, type Incomplete, type Refused, refused } from './refusal.ts';

const HTAB = 0x09;
const LF = 0x0a;
const CR = 0x0d;
const SP = 0x20;
const COLON = 0x3a;
const UNDERSCORE = 0x5f;
const DEL = 0x7f;
/** Numbers kept for each line: where its name and its value begin and end, and its name's node. */
const MARKS = 5;
/**
 * Up to this size the values share one string, which is several times cheaper; one of them kept alive keeps that string alive,
 * so above this size each gets its own.
 */
const SHARED_TEXT_MAX = 4096;

/** Reads one section at a time; holds the marks, so that a section costs no more than its strings. Not re-entrant. */
export class FieldLineReader {
  readonly #marks: Int32Array;
  readonly #maxLines: number;
  readonly #keepsUnderscores: boolean;
  #lines = 0;
  #start = 0;
  /** Of the section last scanned: where it ends, its empty line included. */
  end = 0;
  /** Of the section last scanned: how many lines were left out since their name has "_", which many servers take for "-". */
  dropped = 0;

  /** `maxLines`: how many field lines a section may have; `underscores`: what to do with those whose name has "_". */
  constructor(maxLines: number, underscores: 'drop' | 'keep' = 'drop') {
    this.#maxLines = maxLines;
    this.#keepsUnderscores = underscores === 'keep';
    this.#marks = new Int32Array(maxLines * MARKS);
  }

  /** Looks for a whole valid section from `start`; octets from `stop` on are not looked at. Undefined: found, see `end`. */
  scan(window: Buffer, start: number, stop: number): Refused | Incomplete | undefined {
    const marks = this.#marks;
    const maxLines = this.#maxLines;
    let at = start;
    let mark = 0;
    let lines = 0;
    let dropped = 0;
    for (;;) {
      if (at >= stop) return INCOMPLETE;
      let octet = window[at] ?? 0;
      if (octet === CR) break;
      if (lines === maxLines) return refused('fields-too-many');
      lines += 1;
      const nameStart = at;
      let node = NAME_START;
      for (;;) {
        const lower = TOKEN_LOWER[octet] ?? 0;
        if (lower === 0) break;
        node = NAME_STEP[(node << 7) + lower] ?? 0;
        at += 1;
        if (at >= stop) return INCOMPLETE;
        octet = window[at] ?? 0;
      }
      if (octet !== COLON || at === nameStart) return refused(nameFault(octet, at === nameStart));
      const nameEnd = at;
      at += 1;
      while (at < stop && isBlank(window[at])) at += 1;
      const valueStart = at;
      while (at < stop) {
        octet = window[at] ?? 0;
        if (octet < SP ? octet !== HTAB : octet === DEL) break;
        at += 1;
      }
      if (at >= stop) return INCOMPLETE;
      if (octet !== CR) return refused(octet === LF ? 'line-terminator' : 'field-value-control');
      let valueEnd = at;
      while (valueEnd > valueStart && isBlank(window[valueEnd - 1])) valueEnd -= 1;
      // A tab there is blank by the grammar, but some parsers, Node's among them, take it for a part of the coding's name.
      if (valueEnd < at && nameAt(node) === 'transfer-encoding' && hasOctet(window, HTAB, valueEnd, at)) {
        return refused('transfer-encoding-unknown');
      }
      at += 1;
      if (at >= stop) return INCOMPLETE;
      if (window[at] !== LF) return refused('line-terminator');
      at += 1;
      if (nameAt(node) === '' && !this.#keepsUnderscores && hasOctet(window, UNDERSCORE, nameStart, nameEnd)) {
        dropped += 1;
        continue;
      }
      marks[mark] = nameStart;
      marks[mark + 1] = nameEnd;
      marks[mark + 2] = valueStart;
      marks[mark + 3] = valueEnd;
      marks[mark + 4] = node;
      mark += MARKS;
    }
    if (at + 1 >= stop) return INCOMPLETE;
    if (window[at + 1] !== LF) return refused('line-terminator');
    this.#start = start;
    this.end = at + 2;
    this.#lines = lines - dropped;
    this.dropped = dropped;
    return undefined;
  }

  /** The fields of the section last scanned, which `window` still holds. Frozen: a list may serve many requests. */
  fields(window: Buffer): FieldList {
    const marks = this.#marks;
    const base = this.#start;
    const text = this.end - base <= SHARED_TEXT_MAX ? window.toString('latin1', base, this.end) : undefined;
    const fields: string[] = [];
    for (let mark = 0; mark < this.#lines * MARKS; mark += MARKS) {
      const valueStart = marks[mark + 2] ?? 0;
      const valueEnd = marks[mark + 3] ?? 0;
      fields.push(
        nameAt(marks[mark + 4] ?? 0) || otherName(window, marks[mark] ?? 0, marks[mark + 1] ?? 0),
        text === undefined
          ? window.toString('latin1', valueStart, valueEnd)
          : text.slice(valueStart - base, valueEnd - base),
      );
    }
    return Object.freeze(fields);
  }
}

function hasOctet(window: Buffer, octet: number, start: number, end: number): boolean {
  for (let i = start; i < end; i += 1) if (window[i] === octet) return true;
  return false;
}

function isBlank(octet: number | undefined): boolean {
  return octet === SP || octet === HTAB;
}

function nameFault(octet: number, first: boolean) {
  if (octet === LF) return 'line-terminator';
  if (octet !== SP && octet !== HTAB) return 'field-name-malformed';
  return first ? 'field-folded' : 'field-space-before-colon';
}
