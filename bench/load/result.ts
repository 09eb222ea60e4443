// What a run of load came to, whichever program made it.

export interface LoadResult {
  readonly requests: number;
  readonly seconds: number;
  /** Received, heads included. */
  readonly bytes: number;
  /** From request to the answer's end; undefined where the program does not tell. */
  readonly p50Us?: number;
  readonly p99Us?: number;
  /** What went wrong, for people; undefined when every request was answered as it should be. */
  readonly errors?: string;
}

/** "3 timeout, 1 read" of the counts that are not zero; undefined when all are. */
export function describeErrors(counts: Readonly<Record<string, number>>): string | undefined {
  const found = Object.entries(counts).filter(([, count]) => count !== 0);
  return found.length === 0 ? undefined : found.map(([what, count]) => `${count} ${what}`).join(', ');
}
