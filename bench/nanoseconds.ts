// What one call costs: time, the best of several rounds since the others had company, and garbage.

/** Prints nanoseconds and bytes of garbage for each call of `run`. */
export function measure(name: string, run: (i: number) => unknown): void {
  const calls = 200_000;
  let best = Number.POSITIVE_INFINITY;
  let sink: unknown;
  for (let round = 0; round < 8; round += 1) {
    const started = performance.now();
    for (let i = 0; i < calls; i += 1) sink = run(i);
    best = Math.min(best, performance.now() - started);
  }
  // Between two collections the heap only grows: the smallest growth seen without one is what the calls allocated.
  let garbage = Number.POSITIVE_INFINITY;
  for (let round = 0; round < 20; round += 1) {
    const before = process.memoryUsage().heapUsed;
    for (let i = 0; i < 2_000; i += 1) sink = run(i);
    const grown = process.memoryUsage().heapUsed - before;
    if (grown >= 0) garbage = Math.min(garbage, grown / 2_000);
  }
  if (sink === measure) throw new Error('the result is used');
  const ns = ((best / calls) * 1e6).toFixed(1).padStart(9);
  console.log(`${name.padEnd(58)}${ns} ns/op ${garbage.toFixed(0).padStart(6)} B/op`);
}
