// Counters that every thread adds to and the main thread reads. Each thread has a slice of its own and is the only one to write
// to it, so adding is one addition to one double in memory that no other core writes; reading adds up the slices.
//
// A counter is found by its name, any string; `Metrics` makes one of everything that it has to say about it. A slice holds the names too: a thread that counts something new appends it and then
// raises the number of names, and whoever reads looks whether there are more than he knows. So nobody has to say beforehand what
// will be counted, and a thread that takes the place of a dead one goes on where that one was.
import { type Counter, type CounterSource, counterName } from '../../../infra/runtime/metrics.ts';

export interface SharedCountersHandles {
  readonly threads: number;
  readonly capacity: number;
  readonly nameBytes: number;
  readonly memory: SharedArrayBuffer;
}

/** What is counted instead when the slice of a thread is full. */
export const OVERFLOW = counterName(
  'meridian_counters_overflow_total',
  'Additions to counters that found no room in shared memory, and so are nowhere else.',
);

const DEFAULT_CAPACITY = 2048;
/** For all names of a thread, for each counter. */
const NAME_BYTES = 192;
/** At the beginning of a slice: the number of names, and the bytes that they take, as 32-bit numbers. */
const COUNT = 0;
const NAMES_END = 1;
const HEADER_BYTES = 64;
/** Before each name, its length. */
const LENGTH_BYTES = 2;
const MAX_NAME_BYTES = 0xffff;

function sliceBytes(capacity: number, nameBytes: number): number {
  return Math.ceil((HEADER_BYTES + capacity * Float64Array.BYTES_PER_ELEMENT + nameBytes) / 64) * 64;
}

/** @param capacity counters of one thread. Throws a RangeError for numbers that make no sense. */
export function allocateSharedCounters(threads: number, capacity = DEFAULT_CAPACITY): SharedCountersHandles {
  for (const [name, value] of Object.entries({ threads, capacity })) {
    if (!Number.isInteger(value) || value < 1 || value > 1 << 20) {
      throw new RangeError(`${name} of the shared counters: expected a whole number from 1, found ${value}`);
    }
  }
  const nameBytes = capacity * NAME_BYTES;
  return { threads, capacity, nameBytes, memory: new SharedArrayBuffer(threads * sliceBytes(capacity, nameBytes)) };
}

/** The slice of one thread: names in the order in which they came, and a value for each. */
class Slice {
  readonly values: Float64Array;
  readonly #header: Int32Array;
  readonly #names: Buffer;
  /** Of the names read so far. */
  readonly #places = new Map<string, number>();
  #read = 0;

  constructor(handles: SharedCountersHandles, thread: number) {
    const { memory, capacity, nameBytes } = handles;
    const from = thread * sliceBytes(capacity, nameBytes);
    this.#header = new Int32Array(memory, from, HEADER_BYTES / Int32Array.BYTES_PER_ELEMENT);
    this.values = new Float64Array(memory, from + HEADER_BYTES, capacity);
    this.#names = Buffer.from(memory, from + HEADER_BYTES + this.values.byteLength, nameBytes);
  }

  place(name: string): number | undefined {
    this.#readNames();
    return this.#places.get(name);
  }

  names(): Iterable<string> {
    this.#readNames();
    return this.#places.keys();
  }

  /** By the thread that the slice is of. Undefined: it is full. */
  append(name: string): number | undefined {
    const known = this.place(name);
    if (known !== undefined) return known;
    const place = this.#places.size;
    const length = Buffer.byteLength(name);
    const from = Atomics.load(this.#header, NAMES_END);
    const end = from + LENGTH_BYTES + length;
    if (place >= this.values.length || length > MAX_NAME_BYTES || end > this.#names.length) return undefined;
    this.#names.writeUInt16LE(length, from);
    this.#names.write(name, from + LENGTH_BYTES);
    Atomics.store(this.#header, NAMES_END, end);
    Atomics.store(this.#header, COUNT, place + 1);
    return place;
  }

  #readNames(): void {
    const count = Atomics.load(this.#header, COUNT);
    while (this.#places.size < count) {
      const length = this.#names.readUInt16LE(this.#read);
      const from = this.#read + LENGTH_BYTES;
      this.#read = from + length;
      this.#places.set(this.#names.toString('utf8', from, this.#read), this.#places.size);
    }
  }
}

export class SharedCounters implements CounterSource {
  readonly #slices: readonly Slice[];
  readonly #own: Slice;
  readonly #counters = new Map<string, Counter>();
  readonly #values: Float64Array;
  readonly #overflow: number;

  /** `thread`: 0 ..< `handles.threads`, of those that count at one time another for each. */
  constructor(handles: SharedCountersHandles, thread: number) {
    this.#slices = Array.from({ length: handles.threads }, (_, index) => new Slice(handles, index));
    const own = this.#slices[thread];
    if (own === undefined) {
      throw new RangeError(`thread of the counters: expected 0 to ${handles.threads - 1}, found ${thread}`);
    }
    this.#own = own;
    this.#values = own.values;
    // The first of every slice, so that there is always room for it.
    this.#overflow = own.append(OVERFLOW) ?? 0;
  }

  /** The same name gives the same counter, in every thread. When this thread's slice is full, that of {@link OVERFLOW}. */
  counter(name: string): Counter {
    const known = this.#counters.get(name);
    if (known) return known;
    const place = this.#own.append(name);
    const counter: Counter = {
      add: (by = 1) => this.#add(place ?? this.#overflow, by),
      value: () => this.value(name),
    };
    if (place !== undefined) this.#counters.set(name, counter);
    return counter;
  }

  /** Of all threads together; 0 when nobody has counted it. */
  value(name: string): number {
    let sum = 0;
    for (const slice of this.#slices) {
      const place = slice.place(name);
      if (place !== undefined) sum += slice.values[place] ?? 0;
    }
    return sum;
  }

  /** What any thread has counted so far. */
  names(): ReadonlySet<string> {
    return new Set(this.#slices.flatMap((slice) => [...slice.names()]));
  }

  #add(place: number, by: number): void {
    this.#values[place] = (this.#values[place] ?? 0) + by;
  }
}
