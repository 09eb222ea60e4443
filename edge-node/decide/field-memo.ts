// Remembers what was made of a list of fields. The parsers give equal sections of octets one list (http1/section-memo.ts), so that
// most lists come again as the same object, and what depends on nothing else need not be made again. A list is told by its
// identity; where it would be remembered is told by the lengths of a few of its strings, which costs next to nothing when it
// never comes again. What is remembered is bounded by `slots` lists of up to MAX_FIELDS fields of MAX_UNITS characters in all.
import type { FieldList } from './fields.ts';

const MAX_FIELDS = 48;
const MAX_UNITS = 4096;

export class FieldMemo<M> {
  readonly #mask: number;
  readonly #lists: (FieldList | undefined)[];
  readonly #made: (M | undefined)[];

  /** `slots`: a power of two. */
  constructor(slots = 128) {
    this.#mask = slots - 1;
    this.#lists = new Array<FieldList | undefined>(slots).fill(undefined);
    this.#made = new Array<M | undefined>(slots).fill(undefined);
  }

  /** What was last made of this list; whoever asks checks the rest of what it depends on. */
  find(fields: FieldList): M | undefined {
    const slot = this.#slot(fields);
    return this.#lists[slot] === fields ? this.#made[slot] : undefined;
  }

  /** A list that is not frozen may be another the next time, and is not remembered. */
  keep(fields: FieldList, made: M): void {
    if (fields.length > MAX_FIELDS * 2 || !Object.isFrozen(fields)) return;
    let units = 0;
    for (let i = 0; i < fields.length; i += 1) units += fields[i]?.length ?? 0;
    if (units > MAX_UNITS) return;
    const slot = this.#slot(fields);
    this.#lists[slot] = fields;
    this.#made[slot] = made;
  }

  #slot(fields: FieldList): number {
    const last = fields.length - 1;
    const lengths =
      fields.length * 31 +
      length(fields, 1) * 7 +
      length(fields, 3) * 11 +
      length(fields, last) * 5 +
      length(fields, last - 2);
    return lengths & this.#mask;
  }
}

function length(fields: FieldList, at: number): number {
  return fields[at]?.length ?? 0;
}
