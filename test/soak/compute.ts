// Work that has nothing to do with what is measured, to tell what any thread that is busy does to another.

const PRIVATE = new Int32Array(2 ** 24);

/** Changes memory that nobody shares, here and there, for `ms` milliseconds. */
export function compute(ms: number): void {
  const end = performance.now() + ms;
  for (let at = 0; performance.now() < end; ) {
    for (let i = 0; i < 100; i += 1) {
      at = (Math.imul(at, 0x9e3779b1) + 12_345) >>> 0;
      const place = at % PRIVATE.length;
      PRIVATE[place] = (PRIVATE[place] ?? 0) + 1;
    }
  }
}
