// Tables in Markdown whose columns also line up as they are. Pure.

export interface Column {
  readonly title: string;
  readonly align?: 'right';
}

/** `rows`: cells by column; missing ones are empty. */
export function markdownTable(columns: readonly Column[], rows: readonly (readonly string[])[]): string {
  const texts = [columns.map(({ title }) => title), ...rows].map((row) =>
    columns.map((_, at) => (row[at] ?? '').replaceAll('|', '\\|')),
  );
  const widths = columns.map((_, at) => Math.max(3, ...texts.map((cells) => cells[at]?.length ?? 0)));
  const rule = columns.map(({ align }, at) => {
    const dashes = '-'.repeat(widths[at] ?? 0);
    return align === 'right' ? `${dashes.slice(1)}:` : dashes;
  });
  const [titles = [], ...lines] = texts.map((cells) =>
    cells.map((cell, at) => (columns[at]?.align === 'right' ? cell.padStart : cell.padEnd).call(cell, widths[at] ?? 0)),
  );
  return [titles, rule, ...lines].map((cells) => `| ${cells.join(' | ')} |\n`).join('');
}

/** With three digits that say something: 41,300, 102, 7.31, 0.452. */
export function digits(value: number): string {
  if (!Number.isFinite(value)) return '–';
  if (value === 0) return '0';
  const scale = 10 ** (2 - Math.floor(Math.log10(Math.abs(value))));
  const rounded = Math.round(value * scale) / scale;
  const decimals = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(rounded))));
  return rounded.toLocaleString('en', { minimumFractionDigits: Math.min(3, decimals), maximumFractionDigits: 3 });
}

export function duration(microseconds: number): string {
  if (!Number.isFinite(microseconds)) return '–';
  if (microseconds < 1_000) return `${digits(microseconds)} µs`;
  return microseconds < 1e6 ? `${digits(microseconds / 1_000)} ms` : `${digits(microseconds / 1e6)} s`;
}
