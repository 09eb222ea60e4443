// How many connections there are, of all clients and of each, over all threads: what a new one is refused by.
//
// Each thread counts its own in a slice that it alone writes; who decides adds the slices up. Clients are not listed: an address
// raises PROBES cells, chosen by its hash, and counts for as much as the lowest of them says (a count-min sketch). So the memory
// is fixed, nothing is searched for and nothing expires; addresses that meet in all their cells count together, which, with
// cells many times the connections, hardly ever happens. When a thread dies its slice is emptied: its connections died with it.
//
// An IPv6 client is its network of 64 bits, since it can take any address in it.
import { formatAddress, parseAddress } from '../../../geo/address.ts';
import { type HashKey, StringHash } from '../../decide/hash.ts';

export interface ConnectionLimits {
  /** At once, of all clients together, on all ports. */
  readonly connections: number;
  /** At once, of one client. */
  readonly perClient: number;
}

export interface SharedConnectionsHandles {
  readonly limits: ConnectionLimits;
  readonly threads: number;
  readonly hashKey: HashKey;
  readonly memory: SharedArrayBuffer;
}

export type ConnectionRefusal = 'too-many-connections' | 'too-many-connections-of-client';

/** Of one thread, a power of two. */
const CELLS = 1 << 16;
const PROBES = 2;
/** The total comes first. */
const SLICE = CELLS + 1;

/** Throws a RangeError for limits that are not whole numbers above 0. @param hashKey random */
export function allocateSharedConnections(
  limits: ConnectionLimits,
  threads: number,
  hashKey: HashKey,
): SharedConnectionsHandles {
  for (const [name, value] of Object.entries(limits)) {
    if (!Number.isSafeInteger(value) || value < 1) {
      throw new RangeError(`connection limit ${name}: expected a whole number above 0, found ${value}`);
    }
  }
  return { limits, threads, hashKey, memory: new SharedArrayBuffer(threads * SLICE * Int32Array.BYTES_PER_ELEMENT) };
}

export class SharedConnections {
  readonly #handles: SharedConnectionsHandles;
  readonly #counts: Int32Array;
  readonly #own: number;
  readonly #hash: StringHash;

  /** `thread`: 0 ..< `handles.threads`. */
  constructor(handles: SharedConnectionsHandles, thread: number) {
    if (!Number.isInteger(thread) || thread < 0 || thread >= handles.threads) {
      throw new RangeError(`thread of the connections: expected 0 to ${handles.threads - 1}, found ${thread}`);
    }
    this.#handles = handles;
    this.#counts = new Int32Array(handles.memory);
    this.#own = thread * SLICE;
    this.#hash = new StringHash(handles.hashKey);
  }

  /**
   * Counts a connection from `address`, unless that would be one too many; then says why. `limited` false: this client may have
   * any number. Two threads that decide at the same moment may each let one in. Undefined: `close` is to follow, once.
   */
  open(address: string, limited: boolean): ConnectionRefusal | undefined {
    const { connections, perClient } = this.#handles.limits;
    if (this.total() >= connections) return 'too-many-connections';
    this.#find(address);
    if (limited && this.#ofClient() >= perClient) return 'too-many-connections-of-client';
    this.#add(1);
    return undefined;
  }

  /** A connection that was counted is gone. */
  close(address: string): void {
    this.#find(address);
    this.#add(-1);
  }

  /** Of all threads. */
  total(): number {
    return this.#sum(0);
  }

  /** To be called when `thread` is dead, before another takes its number. */
  recover(thread: number): void {
    this.#counts.fill(0, thread * SLICE, (thread + 1) * SLICE);
  }

  #find(address: string): void {
    this.#hash.of(clientOf(address));
  }

  #ofClient(): number {
    let least = Number.POSITIVE_INFINITY;
    for (let probe = 0; probe < PROBES; probe += 1) least = Math.min(least, this.#sum(this.#cell(probe)));
    return least;
  }

  #add(by: number): void {
    this.#raise(0, by);
    for (let probe = 0; probe < PROBES; probe += 1) this.#raise(this.#cell(probe), by);
  }

  #cell(probe: number): number {
    return 1 + ((this.#hash.low + Math.imul(probe, this.#hash.high | 1)) & (CELLS - 1));
  }

  #raise(at: number, by: number): void {
    this.#counts[this.#own + at] = (this.#counts[this.#own + at] ?? 0) + by;
  }

  #sum(at: number): number {
    let sum = 0;
    for (let slice = 0; slice < this.#counts.length; slice += SLICE) sum += this.#counts[slice + at] ?? 0;
    return sum;
  }
}

function clientOf(address: string): string {
  if (!address.includes(':')) return address;
  const parsed = parseAddress(address);
  if (parsed === undefined) return address;
  return parsed.family === 4 ? formatAddress(parsed) : parsed.groups.slice(0, 4).join(':');
}
