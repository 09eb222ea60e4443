// How long things took, counted in shared memory: `tally[n]` of them took n to n + 1 units, the last: longer.

/** How many there were, and quantiles in microseconds. `unitNs`: nanoseconds. */
export function quantiles(tally: Float64Array, unitNs: number): Record<string, number> {
  const total = tally.reduce((sum, count) => sum + count, 0);
  const at = (share: number) => {
    let seen = 0;
    const unit = tally.findIndex((count) => {
      seen += count;
      return seen >= share * total;
    });
    return ((unit + 1) * unitNs) / 1000;
  };
  return { count: total, p50: at(0.5), p99: at(0.99), 'p99.9': at(0.999), 'p99.99': at(0.9999) };
}
