// Rounds of one row -> what the tables show: medians, and ratios to one server with their spread. Pure.

/** The middle value, or the mean of the two middle ones. NaN for none. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const high = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? high : ((sorted[middle - 1] ?? Number.NaN) + high) / 2;
}

/** The smallest of `values` that at least `share` (0 to 1) of them do not exceed (nearest rank). NaN for none. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN;
}

export interface Ratio {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/**
 * Of rounds that took turns: each round's value over the base's in the same round, so that what slowed both down cancels out.
 * Undefined when no round has both, or a base is zero.
 */
export function ratio(values: readonly number[], base: readonly number[]): Ratio | undefined {
  const ratios = values.slice(0, base.length).map((value, round) => value / (base[round] ?? Number.NaN));
  if (ratios.length === 0 || !ratios.every(Number.isFinite)) return undefined;
  return { median: median(ratios), min: Math.min(...ratios), max: Math.max(...ratios) };
}
