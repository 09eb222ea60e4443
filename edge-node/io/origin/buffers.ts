// Where octets from origins are read into. Most reads fall into one buffer that all connections of the thread share and nobody
// keeps; long bodies get large ones of their own, few in number, so that a body of any length costs no allocation.

/** What one read brings at most when it falls into the shared buffer, octets. */
const SCRATCH_BYTES = 64 * 1024;
export const LARGE_BYTES: number = 256 * 1024;

export class ReadBuffers {
  /** Holds what was read until the callback of that read returns. */
  readonly scratch: Buffer = Buffer.allocUnsafeSlow(SCRATCH_BYTES);
  readonly #free: Buffer[] = [];
  readonly #limit: number;
  #made = 0;

  /** `limit`: how many large buffers there may be. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** A large buffer to read into; undefined when all are in use. */
  take(): Buffer | undefined {
    const free = this.#free.pop();
    if (free !== undefined || this.#made >= this.#limit) return free;
    this.#made += 1;
    return Buffer.allocUnsafeSlow(LARGE_BYTES);
  }

  /** It is in nobody's use. */
  give(buffer: Buffer): void {
    this.#free.push(buffer);
  }

  /** Somebody still uses it, and it is not known until when: it is not coming back. */
  lose(): void {
    this.#made -= 1;
  }
}
