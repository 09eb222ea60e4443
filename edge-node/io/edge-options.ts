// What an edge is started with.
import type { Clock } from '../../infra/runtime/clock.ts';
import type { Log } from '../../infra/runtime/log.ts';
import type { Random } from '../../infra/runtime/random.ts';
import type { TlsFiles } from '../../infra/runtime/tls-files.ts';
import type { Snapshot } from '../../proto/gen/meridian/v1/resources.ts';
import type { EdgeLimits } from './limits.ts';

export interface EdgeOptions {
  /** As declared by an edge resource. */
  readonly name: string;
  /** "host:port" of each control plane; may be empty when `snapshot` is given. */
  readonly control: readonly string[];
  /** Certificates for them; absent: plain text. */
  readonly controlTls?: TlsFiles & { readonly pair: object };
  /** "host:port" for clients, and for `/healthz`, `/readyz`, `/metrics`. Port 0: any free one. */
  readonly listen: string;
  readonly adminListen: string;
  /** Serve https, too: "host:port", and the folder of the certificates. */
  readonly tls?: { readonly listen: string; readonly certificates: string };
  /** Threads that serve requests, beside the main one, 1 to 256. Default: as many as there are processors. */
  readonly threads?: number;
  /** Connections at once, over all threads and ports, and of one client among them. */
  readonly maxConnections?: number;
  readonly maxClientConnections?: number;
  /** Holds the last good snapshot. */
  readonly dataDir: string;
  /** MaxMind DB files; default: DB-IP's city data. Empty: clients are taken to be where the edge is. */
  readonly geoFiles?: readonly string[];
  /** Bytes of memory for the cache, of all threads together. */
  readonly cacheBytes: number;
  /** What is bounded otherwise than by default. */
  readonly limits?: EdgeLimits;
  /** Keep it on disk as well: the folder, and how many bytes it may have there. */
  readonly diskCache?: { readonly folder: string; readonly maxBytes: number };
  /** A file's path, "-" for standard output, or "off". */
  readonly accessLog: string;
  /** Of the exchanges, the share that is logged, 0..1; those that the edge or an origin failed are in any case. Default: 1. */
  readonly accessLogSample?: number;
  /** Who shows it in Meridian-Debug is told how an answer came about (debug-token.ts). */
  readonly debugToken?: string;
  /** Serve this and nothing else, without a control plane. */
  readonly snapshot?: Snapshot;
  /** What an edge that hands its ports over to this one has left in the environment (take-over/inheritance.ts). */
  readonly inherited?: string | undefined;
  /** Why this edge's ports may not be handed over, if so. */
  readonly tied?: string | undefined;
  /** What runs in a worker thread, in place of worker.ts; for tests. */
  readonly worker?: URL;
  /** JavaScript heap of each thread that serves, MiB; default: 1024. One that needs more ends, and is replaced. */
  readonly threadHeapMib?: number;
  readonly log: Log;
  readonly clock: Clock;
  readonly random: Random;
}
