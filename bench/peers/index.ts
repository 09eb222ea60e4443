import { caddy } from './caddy.ts';
import { haproxy } from './haproxy.ts';
import { meridian } from './meridian.ts';
import { nginx } from './nginx.ts';
import type { Peer } from './peer.ts';
import { varnish } from './varnish.ts';

/** In the order in which they take turns. */
export const PEERS: readonly Peer[] = [meridian, nginx, haproxy, varnish, caddy];

/** What the others are compared with. */
export const BASE = nginx.name;
