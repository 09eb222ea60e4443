// Header fields (RFC 9110 section 5) as one flat list: name, value, name, value ... with names in lower case. One array and
// no objects: cheap to copy, to scan and to write, and it keeps order and repetition.

export type FieldList = readonly string[];

/** The first value of `name` (lower case), or undefined. */
export function field(fields: FieldList, name: string): string | undefined {
  for (let i = 0; i < fields.length; i += 2) if (fields[i] === name) return fields[i + 1];
  return undefined;
}

/** All values of `name` joined with ", " as RFC 9110 section 5.3 allows for lists; undefined when there is none. */
export function combinedField(fields: FieldList, name: string): string | undefined {
  let value: string | undefined;
  for (let i = 0; i < fields.length; i += 2) {
    if (fields[i] === name) value = value === undefined ? fields[i + 1] : `${value}, ${fields[i + 1]}`;
  }
  return value;
}

/** How many field lines `name` (lower case) has. */
export function countField(fields: FieldList, name: string): number {
  let count = 0;
  for (let i = 0; i < fields.length; i += 2) if (fields[i] === name) count += 1;
  return count;
}

/** A copy without the fields that `drop` names (lower case). */
export function withoutFields(fields: FieldList, drop: ReadonlySet<string>): string[] {
  const kept: string[] = [];
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i] ?? '';
    if (!drop.has(name)) kept.push(name, fields[i + 1] ?? '');
  }
  return kept;
}

/**
 * Members of a comma-separated list (RFC 9110 section 5.6.1), trimmed, empty ones left out. Commas inside quoted strings do
 * not separate.
 */
export function listMembers(value: string): string[] {
  const members: string[] = [];
  let start = 0;
  let quoted = false;
  for (let i = 0; i <= value.length; i += 1) {
    const character = value[i];
    if (quoted && character === '\\') i += 1;
    else if (character === '"') quoted = !quoted;
    else if (character === undefined || (character === ',' && !quoted)) {
      const member = value.slice(start, i).trim();
      if (member !== '') members.push(member);
      start = i + 1;
    }
  }
  if (start < value.length && quoted) {
    const member = value.slice(start).trim();
    if (member !== '') members.push(member);
  }
  return members;
}
