// What records (record.ts) are put together from. RecordReader reads it.
//
// count:  base 128, least first; the high bit says that more follows.
// number: count of n + 2; 0 is undefined; 1 is followed by n in decimal, as a string (fractions, negative numbers).
// span:   milliseconds: a number, doubled, of seconds; or doubled, plus 1, of what are not whole seconds.
// since:  a time by what it is later than another: count of it doubled, or doubled less 1 if it is earlier, plus 2; or as a number.
// string: count of its length doubled, plus 1 if it holds characters above 0xff, each of which then takes two; the characters.

/** What a 304 changes takes so many characters at least, so that the new record mostly has the length of the old one. */
export const STEADY = 2;

/** `least`: characters; what is short is filled with high digits that are 0. */
export function count(value: number, least = 1): string {
  let text = '';
  let rest = value;
  for (let left = least; rest >= 0x80 || left > 1; left -= 1) {
    text += String.fromCharCode(0x80 + (rest % 0x80));
    rest = Math.floor(rest / 0x80);
  }
  return text + String.fromCharCode(rest);
}

export function number(value: number | undefined, least = 1): string {
  if (value === undefined) return '\0';
  return value >= 0 && Number.isSafeInteger(value + 2) ? count(value + 2, least) : `\x01${string(String(value))}`;
}

export function span(ms: number | undefined): string {
  if (ms === undefined) return '\0';
  const doubled = ms % 1000 === 0 ? (ms / 1000) * 2 : ms * 2 + 1;
  return ms >= 0 && Number.isSafeInteger(doubled + 2) ? count(doubled + 2) : `\x01${string(String(ms))}`;
}

export function since(time: number, other: number): string {
  const later = time - other;
  const doubled = later < 0 ? -later * 2 - 1 : later * 2;
  const exact = Number.isSafeInteger(time) && Number.isSafeInteger(other) && Number.isSafeInteger(doubled + 2);
  return exact ? count(doubled + 2, STEADY) : `\x01${string(String(time))}`;
}

export function string(value: string): string {
  let wide = 0;
  for (let i = 0; i < value.length; i += 1) wide |= value.charCodeAt(i);
  if (wide < 0x100) return count(value.length * 2) + value;
  let text = count(value.length * 2 + 1);
  for (let i = 0; i < value.length; i += 1) {
    const code = value.charCodeAt(i);
    text += String.fromCharCode(code >> 8, code & 0xff);
  }
  return text;
}
