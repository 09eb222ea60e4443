// Decides what the local stack consists of: which processes, in which cities, on which ports. Pure.

export interface Place {
  /** Resource name. */
  readonly name: string;
  readonly city: string;
  /** WGS 84, decimal degrees. */
  readonly latitude: number;
  readonly longitude: number;
}

export interface LaidEdge extends Place {
  readonly port: number;
  readonly adminPort: number;
}

export interface LaidOrigin extends Place {
  readonly port: number;
}

export interface Layout {
  readonly control: {
    /** gRPC, for edges. */
    readonly edgePort: number;
    /** gRPC, for the `meridian` command. */
    readonly adminPort: number;
    /** Health and metrics. */
    readonly httpPort: number;
  };
  /** Used only when `meridian up` starts etcd itself. */
  readonly etcd: { readonly clientPort: number; readonly peerPort: number };
  readonly edges: readonly LaidEdge[];
  readonly origins: readonly LaidOrigin[];
}

/** Where everything listens: loopback only, since nothing here is authenticated. */
export const HOST = '127.0.0.1';

const EDGES: readonly Place[] = [
  { name: 'edge-frankfurt', city: 'Frankfurt', latitude: 50.11, longitude: 8.68 },
  { name: 'edge-sao-paulo', city: 'São Paulo', latitude: -23.55, longitude: -46.63 },
  { name: 'edge-singapore', city: 'Singapore', latitude: 1.35, longitude: 103.82 },
];

const ORIGINS: readonly Place[] = [
  { name: 'london', city: 'London', latitude: 51.51, longitude: -0.13 },
  { name: 'sao-paulo', city: 'São Paulo', latitude: -23.55, longitude: -46.63 },
  { name: 'lagos', city: 'Lagos', latitude: 6.52, longitude: 3.38 },
  { name: 'sydney', city: 'Sydney', latitude: -33.87, longitude: 151.21 },
];

/** How many ports a stack with a port base occupies, counted from the base; not all of them are used. */
export const PORT_SPAN = 40;

/** What `--port-base` accepts: unprivileged, and the last port still is one. */
export const PORT_BASE = { min: 1024, max: 65_535 - PORT_SPAN + 1 } as const;

/**
 * Without a base, ports that are easy to remember; with one (see `PORT_BASE`), all within `PORT_SPAN` ports from there, so
 * that several stacks fit on one machine.
 */
export function layOut(portBase?: number): Layout {
  const first =
    portBase === undefined
      ? { control: 7400, edge: 8081, edgeAdmin: 8091, origin: 9001 }
      : { control: portBase, edge: portBase + 11, edgeAdmin: portBase + 21, origin: portBase + 31 };
  return {
    control: { edgePort: first.control, adminPort: first.control + 1, httpPort: first.control + 2 },
    etcd: { clientPort: first.control + 3, peerPort: first.control + 4 },
    edges: EDGES.map((place, index) => ({
      ...place,
      port: first.edge + index,
      adminPort: first.edgeAdmin + index,
    })),
    origins: ORIGINS.map((place, index) => ({ ...place, port: first.origin + index })),
  };
}

export interface PortUse {
  readonly port: number;
  /** Who needs it and for what: "edge-frankfurt (clients)". */
  readonly need: string;
}

/** Every port that a stack will listen on. `ownEtcd`: it starts etcd too. */
export function portsOf(layout: Layout, ownEtcd: boolean): PortUse[] {
  const { control, etcd, edges, origins } = layout;
  return [
    { port: control.edgePort, need: 'control-plane (edges)' },
    { port: control.adminPort, need: 'control-plane (commands)' },
    { port: control.httpPort, need: 'control-plane (health and metrics)' },
    ...(ownEtcd
      ? [
          { port: etcd.clientPort, need: 'etcd (clients)' },
          { port: etcd.peerPort, need: 'etcd (peers)' },
        ]
      : []),
    ...edges.flatMap(({ name, port, adminPort }) => [
      { port, need: `${name} (clients)` },
      { port: adminPort, need: `${name} (health and metrics)` },
    ]),
    ...origins.map(({ name, port }) => ({ port, need: `origin ${name}` })),
  ];
}
