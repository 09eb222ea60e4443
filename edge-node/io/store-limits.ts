// How much a cache store may hold: the same limits for every store.

export interface StoreLimits {
  /** Of everything that is stored, bytes. */
  readonly maxBytes: number;
  /** Body of one entry, bytes. */
  readonly maxObjectBytes: number;
  readonly maxObjects: number;
  /** Entries of one key that differ in what Vary names. */
  readonly maxVariants: number;
  /** Bodies being gathered, bytes. */
  readonly maxPendingBytes: number;
}

export const DEFAULT_STORE_LIMITS: StoreLimits = {
  maxBytes: 256 * 1024 * 1024,
  maxObjectBytes: 16 * 1024 * 1024,
  maxObjects: 1_000_000,
  maxVariants: 20,
  maxPendingBytes: 64 * 1024 * 1024,
};

/** `limits` with defaults. Throws a RangeError for one that is not a whole number above 0. */
export function storeLimits(limits: Partial<StoreLimits>): StoreLimits {
  const complete = { ...DEFAULT_STORE_LIMITS, ...limits };
  for (const [name, value] of Object.entries(complete)) {
    if (!Number.isSafeInteger(value) || value < 1) {
      throw new RangeError(`cache limit ${name}: expected a whole number above 0, found ${value}`);
    }
  }
  return complete;
}
