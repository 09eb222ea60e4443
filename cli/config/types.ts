// The building blocks of the configuration schema. Each describes one kind of value once, and from that come reading with
// places, writing back, the words of error messages and of the documentation, and the way from a proto field to a line.
import { isScalar, type ParsedNode } from 'yaml';
import { didYouMean } from '../output/suggest.ts';
import { formatDuration, parseDuration } from './duration.ts';
import { type Entry, found, listItems, mapEntries, type Place, resolve } from './place.ts';

export interface Type<T> {
  /** "a duration such as 2s": what an error says was expected, and what the documentation calls the type. */
  readonly expected: string;
  readonly shape: Shape;
  /** The value, or undefined after reporting at `place` why there is none. */
  read(node: ParsedNode | null, place: Place): T | undefined;
  /** What `read` accepts, as plain values; a Map where names are the user's. */
  write(value: T): unknown;
}

/** How a type is put together; what the documentation and the search for a problem's line walk. */
export type Shape =
  | { readonly kind: 'scalar' }
  | { readonly kind: 'list'; readonly item: Type<unknown> }
  | { readonly kind: 'named'; readonly entry: Type<unknown> }
  | { readonly kind: 'message'; readonly title: string; readonly doc: string; readonly fields: readonly FieldShape[] };

export interface FieldShape {
  /** Name in YAML. */
  readonly name: string;
  /** Name in the proto message, as problems spell it. */
  readonly proto: string;
  readonly type: Type<unknown>;
  readonly required: boolean;
  /** The default as YAML would have it; absent for required fields and for those that may be left unset. */
  readonly fallback?: unknown;
  readonly doc: string;
}

export interface Field<T> {
  readonly name: string;
  readonly type: Type<T>;
  /** Absent: the field is required. One that gives undefined leaves the field unset. */
  readonly fallback?: () => T | undefined;
  readonly doc: string;
}

export function required<T>(name: string, type: Type<T>, doc: string): Field<T> {
  return { name, type, doc };
}

export function optional<T>(name: string, type: Type<T>, fallback: () => T, doc: string): Field<T> {
  return { name, type, fallback, doc };
}

/** A field that changes nothing unless it is written. */
export function unset<T>(name: string, type: Type<T>, doc: string): Field<T> {
  return { name, type, fallback: () => undefined, doc };
}

function scalar<T>(
  expected: string,
  accept: (value: unknown) => T | undefined,
  write: (value: T) => unknown,
  hint: (value: unknown) => string = () => '',
): Type<T> {
  return {
    expected,
    shape: { kind: 'scalar' },
    read(node, place) {
      const target = resolve(node, place.source);
      const raw = isScalar(target) ? target.value : undefined;
      const value = accept(raw);
      if (value === undefined) place.report(`expected ${expected}, found ${found(target)}${hint(raw)}`);
      return value;
    },
    write,
  };
}

/** Text. `what`: "a hostname", for messages. */
export function text(what: string): Type<string> {
  return scalar(
    what,
    (value) => (typeof value === 'string' ? value : undefined),
    (value) => value,
    (value) => (typeof value === 'number' || typeof value === 'boolean' ? ' (put it in quotes to make it text)' : ''),
  );
}

/** As `type`, but what `check` finds something wrong with, in a sentence, is reported and not taken. */
export function refined<T>(type: Type<T>, check: (value: T) => string | undefined): Type<T> {
  return {
    ...type,
    read(node, place) {
      const value = type.read(node, place);
      const wrong = value === undefined ? undefined : check(value);
      if (wrong !== undefined) place.report(wrong);
      return wrong === undefined ? value : undefined;
    },
  };
}

export const boolean: Type<boolean> = scalar(
  'true or false',
  (value) => (typeof value === 'boolean' ? value : undefined),
  (value) => value,
);

export interface Bounds {
  readonly min: number;
  readonly max: number;
}

export function number(bounds: Bounds): Type<number> {
  return scalar(
    `a number from ${bounds.min} to ${bounds.max}`,
    (value) => (typeof value === 'number' && value >= bounds.min && value <= bounds.max ? value : undefined),
    (value) => value,
  );
}

export function integer(bounds: Bounds): Type<number> {
  return scalar(
    `a whole number from ${bounds.min} to ${bounds.max}`,
    (value) =>
      typeof value === 'number' && Number.isInteger(value) && value >= bounds.min && value <= bounds.max
        ? value
        : undefined,
    (value) => value,
  );
}

/** Milliseconds within `bounds`, written `250ms`, `2s`, `1m`, `1h`. */
export function duration(bounds: Bounds): Type<number> {
  const range = `from ${formatDuration(bounds.min)} to ${formatDuration(bounds.max)}`;
  return {
    expected: `a duration ${range}`,
    shape: { kind: 'scalar' },
    read(node, place) {
      const target = resolve(node, place.source);
      const ms = isScalar(target) && typeof target.value === 'string' ? parseDuration(target.value) : undefined;
      if (ms === undefined) place.report(`expected a duration such as 2s, found ${found(target)}`);
      else if (ms >= bounds.min && ms <= bounds.max) return ms;
      else place.report(`expected a duration ${range}, found ${found(target)}`);
      return undefined;
    },
    write: formatDuration,
  };
}

/** A list of at most `limit` items. `what`: "a list of hostnames". */
export function list<T>(what: string, item: Type<T>, limit: number): Type<T[]> {
  return {
    expected: what,
    shape: { kind: 'list', item },
    read(node, place) {
      const items = listItems(node, place.source);
      if (!items) {
        place.report(`expected ${what}, found ${found(resolve(node, place.source))}`);
        return undefined;
      }
      if (items.length > limit) {
        place.report(`expected at most ${limit} entries, found ${items.length}`);
        return undefined;
      }
      return all(items.map((value, index) => item.read(value, place.child(index, value))));
    },
    write: (values) => values.map((value) => item.write(value)),
  };
}

/** A mapping from names to at most `limit` things: a list of messages whose `name` is the key. */
export function named<T extends { name: string }>(
  what: string,
  entry: Type<Omit<T, 'name'>>,
  limit: number,
): Type<T[]> {
  return {
    expected: what,
    shape: { kind: 'named', entry },
    read(node, place) {
      const entries = readEntries(node, place, what, limit);
      return (
        entries &&
        all(
          entries.map(({ name, key, value, repeated }) => {
            const rest = entry.read(value, place.child(name, value, key));
            // Omit<T, 'name'> with a name is a T: the compiler cannot know that for a type parameter.
            return rest && !repeated ? ({ name, ...rest } as unknown as T) : undefined;
          }),
        )
      );
    },
    write: (values) => new Map(values.map((value) => [value.name, entry.write(value)])),
  };
}

type Fields<M> = { readonly [K in keyof M]-?: Field<Exclude<M[K], undefined>> };

/** A proto message: one field of the schema for each of the message's, so that none can be forgotten. */
export function message<M extends object>(title: string, doc: string, fields: Fields<M>): Type<M> {
  const table = Object.entries<Field<unknown>>(fields).map(([property, field]) => ({ property, ...field }));
  const byName = new Map(table.map((field) => [field.name, field]));
  return {
    expected: `a mapping (${table.map((field) => field.name).join(', ')})`,
    shape: { kind: 'message', title, doc, fields: table.map(fieldShape) },
    read(node, place) {
      const entries = readEntries(node, place, 'a mapping', MAX_FIELDS);
      if (!entries) return undefined;
      const values = new Map<string, unknown>();
      let complete = true;
      for (const { name, key, value, repeated } of entries) {
        const field = byName.get(name);
        const at = place.child(name, value, key);
        if (!field) at.reportName(`unknown field${didYouMean(name, byName.keys()) || `; known are ${names(table)}`}`);
        const read = field?.type.read(value, at);
        if (field && read !== undefined && !repeated) values.set(field.property, read);
        else complete = false;
      }
      const present = new Set(entries.map((entry) => entry.name));
      for (const field of table) {
        if (present.has(field.name)) continue;
        const fallback = field.fallback?.();
        if (fallback !== undefined) values.set(field.property, fallback);
        else if (!field.fallback) {
          place.reportName(`the field "${field.name}" is missing: expected ${field.type.expected}`);
          complete = false;
        }
      }
      // Each property was read by the type that `fields` demands for it.
      return complete ? (Object.fromEntries(values) as M) : undefined;
    },
    write(value) {
      const written = new Map<string, unknown>();
      for (const field of table) {
        const member = (value as Record<string, unknown>)[field.property] ?? field.fallback?.();
        if (member !== undefined) written.set(field.name, field.type.write(member));
      }
      return written;
    },
  };
}

function fieldShape(field: Field<unknown> & { readonly property: string }): FieldShape {
  const fallback = field.fallback?.();
  return {
    name: field.name,
    proto: field.property.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
    type: field.type,
    required: field.fallback === undefined,
    ...(fallback !== undefined && { fallback: field.type.write(fallback) }),
    doc: field.doc,
  };
}

/** The message that has every field's default; for types all of whose fields have one. */
export function defaults<M extends object>(fields: Fields<M>): M {
  const values = Object.entries<Field<unknown>>(fields).map(
    ([property, field]) => [property, field.fallback?.()] as const,
  );
  return Object.fromEntries(values.filter(([, value]) => value !== undefined)) as M;
}

function names(fields: readonly { readonly name: string }[]): string {
  return fields.map((field) => field.name).join(', ');
}

/** More than any message has, so that a large mapping in the wrong place is one problem. */
const MAX_FIELDS = 100;

/** The entries, those whose name stood before marked and reported; undefined after reporting that there are none. */
function readEntries(
  node: ParsedNode | null,
  place: Place,
  what: string,
  limit: number,
): (Entry & { readonly repeated: boolean })[] | undefined {
  const entries = mapEntries(node, place.source);
  if (!entries || entries.length > limit) {
    if (!entries) place.report(`expected ${what}, found ${found(resolve(node, place.source))}`);
    else place.report(`expected at most ${limit} entries, found ${entries.length}`);
    return undefined;
  }
  const seen = new Set<string>();
  return entries.map((entry) => {
    const repeated = seen.has(entry.name);
    if (repeated) place.child(entry.name, entry.value, entry.key).reportName('this name stands here a second time');
    seen.add(entry.name);
    return { ...entry, repeated };
  });
}

function all<T>(values: readonly (T | undefined)[]): T[] | undefined {
  const present = values.filter((value) => value !== undefined);
  return present.length === values.length ? present : undefined;
}
