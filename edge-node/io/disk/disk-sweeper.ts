// Gives back the room on disk of what was purged, behind the requests, on the main thread. The index knows hashes alone, so it
// reads what stands in front of each body, as long as the barrier has risen, neighbours together; what is purged is found no more,
// and a segment of which little is left is freed (janitor.ts).
//
// Nothing is marked in the records, as it is when one is removed: the next start judges them by the journal of purges, which
// covers them, or does not reach back so far, and then they are not entered at all (recovery.ts).
//
// A purge after quiet is swept at once. What comes while it walks, or rests, is swept together afterwards: of all time it works a
// tenth.
import type { Clock } from '../../../infra/runtime/clock.ts';
import { isThin } from '../../decide/cache/eviction.ts';
import type { Located } from './disk-index.ts';
import type { DiskHandles } from './disk-memory.ts';
import type { ReadFront } from './disk-reader.ts';
import type { DiskStore } from './disk-store.ts';
import type { DiskFiles } from './files.ts';
import { UNIT } from './form.ts';
import type { Janitor } from './janitor.ts';

/** Slots that are looked at with the index locked. */
const SLOTS = 256;
/** What is read with one call, bytes; */
const WINDOW_BYTES = 256 * 1024;
/** of each record at least; nearly always enough; */
const AHEAD_BYTES = 2048;
/** ... and what is read for nothing between two, rather than with another call. */
const GAP_BYTES = 16 * 1024;
/** Calls at the same time: the threads that do them are those that read for requests. */
const READS = 2;
/** It works for so long at a stretch, milliseconds, and rests so many times as long as it worked. */
const STRETCH_MS = 10_000;
const REST = 9;

export interface DiskSweeperPorts {
  readonly clock: Clock;
  /** Whether a purge has reached it. */
  isPurged(front: ReadFront): boolean;
}

export class DiskSweeper {
  readonly #handles: DiskHandles;
  readonly #store: DiskStore;
  readonly #janitor: Janitor;
  readonly #files: DiskFiles;
  readonly #ports: DiskSweeperPorts;
  #running: Promise<void> | undefined;
  #wanted = false;
  #stopped = false;
  /** When it began to work. */
  #since = 0;
  #wake: () => void = () => undefined;

  /** `store` and `janitor`: of the main thread. */
  constructor(handles: DiskHandles, store: DiskStore, janitor: Janitor, files: DiskFiles, ports: DiskSweeperPorts) {
    this.#handles = handles;
    this.#store = store;
    this.#janitor = janitor;
    this.#files = files;
    this.#ports = ports;
  }

  /** To be called when the barrier has risen. */
  begin(): void {
    if (this.#isOver) return;
    this.#wanted = true;
    this.#running ??= this.#run();
  }

  /** Sweeps nothing any more. Never rejects. */
  async close(): Promise<void> {
    this.#stopped = true;
    this.#wake();
    await this.#running;
  }

  get #isOver(): boolean {
    return this.#stopped || this.#store.index.isOff;
  }

  async #run(): Promise<void> {
    try {
      while (this.#wanted && !this.#isOver) {
        this.#wanted = false;
        // What is being moved just now may have been judged before.
        await this.#janitor.run();
        this.#since = this.#ports.clock.monotonic();
        await this.#walk();
        await this.#rest();
      }
    } catch (error) {
      this.#store.fail(error);
    } finally {
      this.#running = undefined;
    }
  }

  async #walk(): Promise<void> {
    const buffers = Array.from({ length: READS }, () => Buffer.allocUnsafeSlow(WINDOW_BYTES));
    for (let segment = 0; segment < this.#handles.segments; segment += 1) {
      await this.#sweep(segment, buffers);
      if (this.#isOver) return;
      if (this.#ports.clock.monotonic() - this.#since >= STRETCH_MS) await this.#rest();
    }
    this.#store.index.count('walks');
  }

  async #rest(): Promise<void> {
    await this.#janitor.letGo();
    const { clock } = this.#ports;
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = clock.after((clock.monotonic() - this.#since) * REST, resolve);
    this.#wake = resolve;
    if (this.#isOver) resolve();
    await promise;
    timer.cancel();
    this.#since = clock.monotonic();
  }

  async #sweep(segment: number, buffers: readonly Buffer[]): Promise<void> {
    const { index } = this.#store;
    const { segments } = index;
    const { first, generation } = index.locked(() => {
      segments.pin(segment);
      return { first: segments.first(segment), generation: segments.generation(segment) };
    });
    let slot = first;
    let left = 0;
    try {
      while (slot !== 0 && !this.#isOver) {
        const from = slot;
        const { found, next } = index.locked(() => index.take(from, SLOTS));
        const windows = inWindows(found);
        const lane = async (buffer: Buffer): Promise<void> => {
          for (const window of windows) {
            const units = await this.#judge(segment, window, buffer);
            left += units;
          }
        };
        await Promise.all(buffers.map(lane));
        slot = next;
      }
    } finally {
      segments.unpin(segment);
    }
    if (this.#isOver) return;
    const filled = index.locked(() => segments.end(segment));
    if (isThin(left, filled)) await this.#janitor.reclaim(segment, generation);
  }

  /** Units of what is left of a window. */
  async #judge(segment: number, window: readonly Located[], buffer: Buffer): Promise<number> {
    const { index, reader } = this.#store;
    const [first] = window;
    const last = window.at(-1);
    if (this.#isOver || first === undefined || last === undefined) return 0;
    const start = first.offset * UNIT;
    const bytes = buffer.subarray(0, last.offset * UNIT + ahead(last) - start);
    const length = await this.#files.read(this.#handles.files[segment] ?? -1, bytes, start);
    const purged: Located[] = [];
    let left = 0;
    for (const one of window) {
      const at = one.offset * UNIT - start;
      const read = reader.front(one, bytes.subarray(at, Math.min(length, at + one.units * UNIT)));
      const front = typeof read === 'number' ? await reader.read(one, 0) : read;
      // What is damaged, or removed, is left to who asks for it.
      if (typeof front === 'object' && this.#ports.isPurged(front)) purged.push(one);
      else left += one.units;
    }
    if (purged.length > 0) index.locked(() => index.sweep(purged));
    return left;
  }
}

/** What is read together, in the order of the file. */
function* inWindows(found: readonly Located[]): Generator<readonly Located[]> {
  let window: Located[] = [];
  let start = 0;
  let end = 0;
  for (const one of found.toSorted((a, b) => a.offset - b.offset)) {
    const at = one.offset * UNIT;
    const fits = at + ahead(one) - start <= WINDOW_BYTES && at - end <= GAP_BYTES;
    if (window.length > 0 && !fits) {
      yield window;
      window = [];
    }
    if (window.length === 0) start = at;
    window.push(one);
    end = at + ahead(one);
  }
  if (window.length > 0) yield window;
}

function ahead({ units }: Located): number {
  return Math.min(units * UNIT, AHEAD_BYTES);
}
