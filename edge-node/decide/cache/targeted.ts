// Which directives a response is cached by: those of the first targeted field that is ours, else Cache-Control (RFC 9213).
import { combinedField, type FieldList } from '../fields.ts';
import { type Member, parseDictionary } from '../structured-fields.ts';
import { type CacheControl, CacheControlReader, parseCacheControl } from './cache-control.ts';

/** Lower case, the most specific first. */
export const TARGET_LIST = ['meridian-cdn-cache-control', 'cdn-cache-control'] as const;

export interface EffectiveControl {
  readonly control: CacheControl;
  /** It came from a targeted field: Cache-Control and Expires count for nothing here (RFC 9213 section 2.2). */
  readonly targeted: boolean;
}

/** The directives for this cache of a response with `fields`. */
export function effectiveControl(fields: FieldList): EffectiveControl {
  for (const name of TARGET_LIST) {
    const value = combinedField(fields, name);
    const control = value === undefined ? undefined : targetedControl(value);
    if (control) return { control, targeted: true };
  }
  return { control: parseCacheControl(combinedField(fields, 'cache-control')), targeted: false };
}

/** Undefined when the value is empty or not a dictionary: it is then as if it were not there (RFC 9213 section 2.1). */
function targetedControl(value: string): CacheControl | undefined {
  const dictionary = parseDictionary(value);
  if (dictionary === undefined || dictionary.size === 0) return undefined;
  const reader = new CacheControlReader();
  for (const [name, member] of dictionary) add(reader, name, member);
  return reader.control;
}

/** Parameters of a directive mean nothing (section 2.1). A type that a directive cannot have makes it unreadable. */
function add(reader: CacheControlReader, name: string, member: Member): void {
  const value = member.kind === 'item' ? member.value : undefined;
  switch (value?.kind) {
    case 'boolean':
      if (value.value) reader.add(name, undefined, true, false);
      break;
    case 'integer':
      reader.add(name, String(value.value), true, false);
      break;
    case 'string':
      // Seconds in quotes are no integer: section 2.1 asks not to take them for one.
      if (name === 'no-cache' || name === 'private') reader.add(name, value.value, true, true);
      else reader.add(name, '', false, true);
      break;
    default:
      reader.add(name, '', false, false);
  }
}
