// Text from elsewhere (files, servers, arguments), made safe to show on a terminal.

/** Control characters (C0, DEL, C1), line separators and marks that turn the writing direction, escaped. */
export function printable(text: string): string {
  return text.replace(
    /[\p{Cc}\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** At most `length` characters of it, printable. */
export function clip(text: string, length = 60): string {
  return printable(text.length > length ? `${text.slice(0, length)}...` : text);
}

/** `1 edge`, `2 edges`. */
export function count(number: number, singular: string, plural = `${singular}s`): string {
  return `${number} ${number === 1 ? singular : plural}`;
}
