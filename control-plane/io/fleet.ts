// What this control plane knows of each edge: from the streams that it has or had with it, and from what other replicas say of
// those that hang on them (io/peers.ts). Kept for as long as the edge is declared, and lost with the process: what must
// outlast it is in the store or on the edge.
import type { CountAnswer, EdgeStatistics, Hello } from '../../proto/gen/meridian/v1/edge.ts';
import type { Explanation } from '../../proto/gen/meridian/v1/explain.ts';
import type { PurgePosition, PurgeTarget } from '../../proto/gen/meridian/v1/purge.ts';
import type { Version } from '../../proto/gen/meridian/v1/resources.ts';
import { comparePositions, compareVersions } from '../../proto/version.ts';
import type { Standing } from '../decide/acks.ts';
import type { Measured } from '../decide/health-view.ts';

/** The stream of a connected edge, for those who want something of it. */
export interface Connection {
  /** A newer stream of the same edge takes its place: of this instance, or at another replica (undefined). */
  replaced(by: string | undefined): void;
  /** Ends the stream, so that the edge dials another replica. */
  sendElsewhere(): void;
  /** Undefined when it does not answer within `ms` milliseconds, or too much is asked of it already. */
  explain(url: string, ip: string, ms: number): Promise<Explanation | undefined>;
  /** As `explain`: how much a purge of these would reach. */
  countPurge(targets: readonly PurgeTarget[], ms: number): Promise<CountAnswer | undefined>;
}

export interface KnownEdge extends Standing {
  /** Absent when another replica has it. */
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
  /** Monotonic milliseconds; undefined when it never spoke to this replica. */
  readonly heardAt: number | undefined;
}

const UNHEARD: KnownEdge = {
  connected: false,
  connection: undefined,
  instance: '',
  softwareVersion: '',
  applied: undefined,
  refused: undefined,
  position: undefined,
  statistics: undefined,
  measured: undefined,
  heardAt: undefined,
};

export type FleetListener = (edge: string, known: KnownEdge | undefined) => void;

export class Fleet {
  /** What this replica heard itself. */
  readonly #edges = new Map<string, KnownEdge>();
  /** What other replicas say of the edges that hang on them. */
  readonly #remote = new Map<string, { readonly replica: string; readonly standing: Standing }>();
  readonly #listeners = new Set<FleetListener>();
  readonly #localListeners = new Set<(edge: string) => void>();

  /** The word of the replica that has the edge's stream; else the last that was heard. */
  get(edge: string): KnownEdge | undefined {
    const local = this.#edges.get(edge);
    const remote = this.#remote.get(edge);
    if (!remote || local?.connected) return local;
    return { ...(local ?? UNHEARD), ...remote.standing };
  }

  /** Of the edges whose streams this replica has or had. */
  values(): Iterable<KnownEdge> {
    return this.#edges.values();
  }

  /** Undefined when it is not connected to this replica. */
  connection(edge: string): Connection | undefined {
    return this.#edges.get(edge)?.connection;
  }

  /** Which other replica has its stream; undefined when this one has it, or none. */
  holder(edge: string): string | undefined {
    return this.#edges.get(edge)?.connected ? undefined : this.#remote.get(edge)?.replica;
  }

  /** Names of the edges on this replica. */
  get own(): string[] {
    return [...this.#edges].filter(([, { connected }]) => connected).map(([edge]) => edge);
  }

  /** `listener` hears of every change of an edge; undefined: forgotten. Returns how to end that. */
  onChange(listener: FleetListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** `listener` hears of every change of an edge of this replica. */
  onLocal(listener: (edge: string) => void): void {
    this.#localListeners.add(listener);
  }

  connect(connection: Connection, hello: Hello, heardAt: number): void {
    const former = this.#edges.get(hello.edge);
    const { instance, softwareVersion, applied, parked, purgePosition } = hello;
    const known = this.get(hello.edge)?.refused;
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

  /** All edges that hang on `replica`, as it says; none when it is gone. */
  setRemote(replica: string, standings: ReadonlyMap<string, Standing>): void {
    for (const [edge, remote] of this.#remote) {
      if (remote.replica !== replica || standings.has(edge)) continue;
      this.#remote.delete(edge);
      const local = this.#edges.get(edge);
      // What it had applied when it left stays true.
      if (!local?.connected) this.#edges.set(edge, { ...(local ?? UNHEARD), ...remote.standing, connected: false });
      this.#tell(edge);
    }
    for (const [edge, standing] of standings) {
      const former = this.#remote.get(edge);
      this.#remote.set(edge, { replica, standing });
      if (former?.replica !== replica || !sameStanding(former.standing, standing)) this.#tell(edge);
    }
  }

  /** Forgets the edges that are not declared any more. */
  keep(declared: ReadonlySet<string>): void {
    for (const edge of new Set([...this.#edges.keys(), ...this.#remote.keys()])) {
      if (declared.has(edge)) continue;
      this.#edges.delete(edge);
      this.#remote.delete(edge);
      this.#tell(edge);
      this.#tellLocal(edge);
    }
  }

  #set(edge: string, known: KnownEdge): void {
    this.#edges.set(edge, known);
    this.#tell(edge);
    this.#tellLocal(edge);
  }

  #tell(edge: string): void {
    const known = this.get(edge);
    for (const listener of this.#listeners) listener(edge, known);
  }

  #tellLocal(edge: string): void {
    for (const listener of this.#localListeners) listener(edge);
  }
}

function sameVersion(a: Version, b: Version | undefined): boolean {
  return a.epoch === b?.epoch && a.revision === b.revision;
}

function sameStanding(a: Standing, b: Standing): boolean {
  return (
    comparePositions(a.position, b.position) === 0 &&
    compareVersions(a.applied, b.applied) === 0 &&
    compareVersions(a.refused?.version, b.refused?.version) === 0
  );
}
