// Gathers the body of a response on its way through, into one buffer of its own: chunks from a socket are slices of larger
// buffers, which they would keep in memory. What is held is counted before it is allocated.

import type { CacheEntry, StoreWriter } from '../decide/cache/entry.ts';

/** Bytes held by all that gather at present, and how many they may hold. */
export class PendingBytes {
  readonly limit: number;
  readonly #cells: Float64Array<ArrayBufferLike>;
  readonly #at: number;

  /** Keeps the number in `cells[at]`, where others may read it. */
  constructor(limit: number, cells: Float64Array<ArrayBufferLike> = new Float64Array(1), at = 0) {
    this.limit = limit;
    this.#cells = cells;
    this.#at = at;
  }

  get held(): number {
    return this.#cells[this.#at] ?? 0;
  }

  /** Counts `bytes` more; false, and nothing counted, when that is above the limit. */
  take(bytes: number): boolean {
    if (this.held + bytes > this.limit) return false;
    this.#cells[this.#at] = this.held + bytes;
    return true;
  }

  give(bytes: number): void {
    this.#cells[this.#at] = this.held - bytes;
  }
}

/** Why a body was not gathered. */
export type GatherRefusal = 'too-large' | 'pending-full' | 'wrong-length';

export type GatherOutcome = 'kept' | GatherRefusal;

/** Whom a {@link gatherBody} tells how it ended, unless it was aborted; one of them, once. */
export interface GatherEnd {
  kept(body: Buffer): CacheEntry | undefined;
  refused(because: GatherRefusal): void;
}

const FIRST_BYTES = 16 * 1024;

export class BodyGatherer {
  readonly #pending: PendingBytes;
  readonly #expected: number | undefined;
  readonly #maxBytes: number;
  #buffer = Buffer.alloc(0);
  #length = 0;

  /** `expected`: the length that was announced, which the body must have; `maxBytes`: how long it may be. */
  constructor(pending: PendingBytes, expected: number | undefined, maxBytes: number) {
    this.#pending = pending;
    this.#expected = expected;
    this.#maxBytes = maxBytes;
  }

  /** To be called first: makes room for an announced length, in one piece. */
  begin(): GatherOutcome {
    if (this.#expected === undefined) return 'kept';
    return this.#expected > this.#maxBytes ? 'too-large' : this.#grow(this.#expected);
  }

  /** Copies `chunk`. After anything but `kept` call {@link drop}. */
  write(chunk: Buffer): GatherOutcome {
    const length = this.#length + chunk.length;
    if (length > this.#buffer.length) {
      if (this.#expected !== undefined) return 'wrong-length';
      if (length > this.#maxBytes) return 'too-large';
      const room = Math.min(this.#maxBytes, Math.max(length, FIRST_BYTES, this.#buffer.length * 2));
      const outcome = this.#grow(room);
      if (outcome !== 'kept') return outcome;
    }
    chunk.copy(this.#buffer, this.#length);
    this.#length = length;
    return 'kept';
  }

  /** What was copied so far. Nothing of it is written again. */
  get gathered(): Buffer {
    return this.#buffer.subarray(0, this.#length);
  }

  /** The body in a buffer of exactly its length, no longer counted as pending; undefined when it is not as announced. */
  finish(): Buffer | undefined {
    const { length } = this.#buffer;
    let body: Buffer | undefined = this.#buffer;
    if (this.#expected === undefined && this.#length < length) {
      body = Buffer.allocUnsafeSlow(this.#length);
      this.#buffer.copy(body, 0, 0, this.#length);
    } else if (this.#length < length) {
      body = undefined;
    }
    this.drop();
    return body;
  }

  /** Lets go of everything. */
  drop(): void {
    this.#pending.give(this.#buffer.length);
    this.#buffer = Buffer.alloc(0);
    this.#length = 0;
  }

  #grow(room: number): GatherOutcome {
    // Both buffers exist while one is copied into the other, so both are counted.
    if (!this.#pending.take(room)) return 'pending-full';
    const larger = Buffer.allocUnsafeSlow(room);
    this.#buffer.copy(larger, 0, 0, this.#length);
    this.#pending.give(this.#buffer.length);
    this.#buffer = larger;
    return 'kept';
  }
}

/** A store's writer; undefined, and `end.refused` called, when the body cannot be gathered. See {@link BodyGatherer}. */
export function gatherBody(
  pending: PendingBytes,
  expected: number | undefined,
  maxBytes: number,
  end: GatherEnd,
): StoreWriter | undefined {
  const gatherer = new BodyGatherer(pending, expected, maxBytes);
  const outcome = gatherer.begin();
  if (outcome !== 'kept') {
    end.refused(outcome);
    return undefined;
  }
  let open = true;
  const close = (because: GatherOutcome): void => {
    open = false;
    gatherer.drop();
    if (because !== 'kept') end.refused(because);
  };
  return {
    gathered: () => (open ? gatherer.gathered : undefined),
    write: (chunk) => {
      if (!open) return false;
      const written = gatherer.write(chunk);
      if (written !== 'kept') close(written);
      return open;
    },
    commit: () => {
      if (!open) return undefined;
      const body = gatherer.finish();
      close(body === undefined ? 'wrong-length' : 'kept');
      return body === undefined ? undefined : end.kept(body);
    },
    abort: () => {
      if (open) close('kept');
    },
  };
}
