// Durations and sizes as people write them: `250ms`, `2s`, `1m`, `1h`; `64MiB`.

const UNITS = [
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1_000],
  ['ms', 1],
] as const;

const SIZES = new Map([
  ['B', 1],
  ['', 1],
  ['KiB', 1024],
  ['MiB', 1024 ** 2],
  ['GiB', 1024 ** 3],
  ['TiB', 1024 ** 4],
]);

/** Milliseconds, or undefined when `text` is not a whole number followed by ms, s, m or h. */
export function parseDuration(text: string): number | undefined {
  const match = /^(\d{1,10})(ms|s|m|h)$/.exec(text);
  if (!match) return undefined;
  const [, digits, unit] = match;
  const factor = UNITS.find(([name]) => name === unit)?.[1] ?? 1;
  return Number(digits) * factor;
}

/** The shortest form that {@link parseDuration} reads back to the same whole number of milliseconds. */
export function formatDuration(ms: number): string {
  if (ms === 0) return '0s';
  const [unit, factor] = UNITS.find(([, size]) => ms % size === 0) ?? ['ms', 1];
  return `${ms / factor}${unit}`;
}

/** Bytes, or undefined when `text` is not a whole number, alone or followed by B, KiB, MiB, GiB or TiB. */
export function parseSize(text: string): number | undefined {
  const match = /^(\d{1,15})\s?([A-Za-z]*)$/.exec(text);
  if (!match) return undefined;
  const factor = SIZES.get(match[2] ?? '');
  return factor === undefined ? undefined : Number(match[1]) * factor;
}

/** The shortest form that {@link parseSize} reads back to the same whole number of bytes. */
export function formatSize(bytes: number): string {
  const [unit, factor] = [...SIZES].findLast(([, size]) => bytes >= size && bytes % size === 0) ?? ['', 1];
  return `${bytes / factor}${unit}`;
}
