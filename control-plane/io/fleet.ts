// What this control plane knows of each edge, from the streams that it has or had with it. Kept for as long as the edge is
// declared, and lost with the process: what must outlast it is in the store or on the edge.
import type { EdgeStatistics, Hello } from '../../proto/gen/meridian/v1/edge.ts';
import type { Explanation } from '../../proto/gen/meridian/v1/explain.ts';
import type { PurgePosition } from '../../proto/gen/meridian/v1/purge.ts';
import type { Version } from '../../proto/gen/meridian/v1/resources.ts';
import type { Standing } from '../decide/acks.ts';
import type { Measured } from '../decide/health-view.ts';

/** The stream of a connected edge, for those who want something of it. */
export interface Connection {
  /** A newer stream of the same edge takes its place. */
  replaced(by: string): void;
  /** Undefined when it does not answer within `ms` milliseconds, or too much is asked of it already. */
  explain(url: string, ip: string, ms: number): Promise<Explanation | undefined>;
}

export interface KnownEdge extends Standing {
  readonly connection: Connection | undefined;
  readonly instance: string;
  readonly softwareVersion: string;
  readonly applied: Version | undefined;
  /** The newest version that it refused. */
  readonly refused: { readonly version: Version; readonly reason: string } | undefined;
  readonly position: PurgePosition | undefined;
  readonly statistics: EdgeStatistics | undefined;
  /** What it measured; undefined before the first report of its stream. */
  readonly measured: Measured | undefined;
  /** Monotonic milliseconds. */
  readonly heardAt: number;
}

export type FleetListener = (edge: string, known: KnownEdge | undefined) => void;

export class Fleet {
  readonly #edges = new Map<string, KnownEdge>();
  readonly #listeners = new Set<FleetListener>();

  get(edge: string): KnownEdge | undefined {
    return this.#edges.get(edge);
  }

  values(): Iterable<KnownEdge> {
    return this.#edges.values();
  }

  /** Undefined when it is not connected. */
  connection(edge: string): Connection | undefined {
    return this.#edges.get(edge)?.connection;
  }

  get connected(): number {
    let count = 0;
    for (const { connected } of this.#edges.values()) count += Number(connected);
    return count;
  }

  /** `listener` hears of every change of an edge; undefined: forgotten. Returns how to end that. */
  onChange(listener: FleetListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  connect(connection: Connection, hello: Hello, heardAt: number): void {
    const former = this.#edges.get(hello.edge);
    const { instance, softwareVersion, applied, parked, purgePosition } = hello;
    const known = former?.refused;
    const reason =
      known && sameVersion(known.version, parked) ? known.reason : 'refused earlier; see the log of the edge';
    this.#set(hello.edge, {
      connected: true,
      connection,
      instance,
      softwareVersion,
      applied,
      refused: parked && { version: parked, reason },
      position: purgePosition,
      statistics: undefined,
      measured: undefined,
      heardAt,
    });
    former?.connection?.replaced(instance);
  }

  /** Does nothing when another stream has taken over. */
  disconnect(edge: string, connection: Connection): void {
    const known = this.#edges.get(edge);
    if (known?.connection === connection) this.#set(edge, { ...known, connected: false, connection: undefined });
  }

  /** What `connection` said; nothing when another stream has taken over. */
  note(edge: string, connection: Connection, change: Partial<KnownEdge>): void {
    const known = this.#edges.get(edge);
    if (known?.connection === connection) this.#set(edge, { ...known, ...change });
  }

  /** Forgets the edges that are not declared any more. */
  keep(declared: ReadonlySet<string>): void {
    for (const edge of this.#edges.keys()) {
      if (declared.has(edge)) continue;
      this.#edges.delete(edge);
      this.#tell(edge, undefined);
    }
  }

  #set(edge: string, known: KnownEdge): void {
    this.#edges.set(edge, known);
    this.#tell(edge, known);
  }

  #tell(edge: string, known: KnownEdge | undefined): void {
    for (const listener of this.#listeners) listener(edge, known);
  }
}

function sameVersion(a: Version, b: Version | undefined): boolean {
  return a.epoch === b?.epoch && a.revision === b.revision;
}
