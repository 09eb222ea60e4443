// Tables of text, and colours where a terminal shows them.
import type { Io } from '../commands/command.ts';
import { printable } from './text.ts';

export type Style = (text: string) => string;

export interface Styles {
  readonly good: Style;
  readonly bad: Style;
  readonly doubtful: Style;
  readonly strong: Style;
}

const plain: Style = (text) => text;
const ansi =
  (code: number): Style =>
  (text) =>
    `\u001b[${code}m${text}\u001b[0m`;

export function stylesFor(io: Pick<Io, 'colour'>): Styles {
  if (!io.colour) return { good: plain, bad: plain, doubtful: plain, strong: plain };
  return { good: ansi(32), bad: ansi(31), doubtful: ansi(33), strong: ansi(1) };
}

export interface Cell {
  readonly text: string;
  readonly style?: Style;
  readonly align?: 'right';
}

/** Lines of columns two spaces apart, each ending in a newline. A column's head is aligned like what stands below it. */
export function table(head: readonly string[], rows: readonly (readonly (string | Cell)[])[]): string {
  const titles = head.map((text, column): Cell => {
    const below = rows[0]?.[column];
    return typeof below === 'object' && below.align ? { text, align: below.align } : { text };
  });
  const lines = [titles, ...rows].map((row) =>
    row
      .map((cell): Cell => (typeof cell === 'string' ? { text: cell } : cell))
      .map(({ text, ...cell }) => ({
        ...cell,
        text: printable(text),
      })),
  );
  const widths = head.map((_, column) => Math.max(...lines.map((line) => line[column]?.text.length ?? 0)));
  let out = '';
  for (const line of lines) {
    let row = '';
    for (const [column, cell] of line.entries()) {
      const gap = ' '.repeat((widths[column] ?? 0) - cell.text.length);
      const styled = cell.style ? cell.style(cell.text) : cell.text;
      row += `${column === 0 ? '' : '  '}${cell.align === 'right' ? gap + styled : styled + gap}`;
    }
    out += `${row.trimEnd()}\n`;
  }
  return out;
}
