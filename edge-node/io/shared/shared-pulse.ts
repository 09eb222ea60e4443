// A number for each thread that rises for as long as its event loop turns, in memory that the main thread looks at: a thread that
// hangs cannot say so, and need not be asked.

/** In bytes: each thread has a cache line of its own. */
const STRIDE = 64;

export interface SharedPulseHandles {
  readonly memory: SharedArrayBuffer;
}

export function allocateSharedPulse(threads: number): SharedPulseHandles {
  return { memory: new SharedArrayBuffer(threads * STRIDE) };
}

export class SharedPulse {
  readonly #beats: Int32Array;

  constructor({ memory }: SharedPulseHandles) {
    this.#beats = new Int32Array(memory);
  }

  /** By `thread` itself. */
  beat(thread: number): void {
    Atomics.add(this.#beats, (thread * STRIDE) / Int32Array.BYTES_PER_ELEMENT, 1);
  }

  /** Another number than the last time: it has turned since. */
  read(thread: number): number {
    return Atomics.load(this.#beats, (thread * STRIDE) / Int32Array.BYTES_PER_ELEMENT);
  }
}
