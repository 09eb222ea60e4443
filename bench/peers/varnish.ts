// Its in-memory log is always on, as its guides have it; the access log is written from there by varnishncsa, whose CPU time and
// memory count as Varnish's.
import path from 'node:path';
import { fillIn, type Peer } from './peer.ts';

const PARAMETERS = {
  // One pool for one core.
  thread_pools: 1,
  thread_pool_min: 200,
  thread_pool_max: 5_000,
  // As long as the other servers keep theirs.
  timeout_idle: 75,
  listen_depth: 4_096,
  // Large bodies come in fewer pieces.
  fetch_chunksize: '1m',
  // Nothing is kept for longer than the origin says, and what is stale is asked about rather than fetched anew.
  default_ttl: 0,
  default_grace: 0,
  default_keep: 3_600,
};

export const varnish: Peer = {
  name: 'varnish',
  title: 'Varnish',
  program: 'varnishd',
  package: 'varnish',
  version: ['varnishd', '-V'],
  cannotTls: async () => 'has no TLS listener',
  async prepare(place) {
    const file = await fillIn('varnish.vcl', place.directory, { ORIGIN_PORT: place.originPort });
    const work = path.join(place.directory, 'work');
    const parameters = Object.entries(PARAMETERS).flatMap(([name, value]) => ['-p', `${name}=${value}`]);
    const listen = ['-a', `127.0.0.1:${place.httpPort}`, '-T', 'none'];
    const cache = ['-j', 'none', '-F', '-n', work, '-f', file, '-s', 'malloc,2g', ...listen, ...parameters];
    const log = ['varnishncsa', '-n', work, '-t', '20', '-a', '-w', place.accessLog ?? ''];
    return [{ args: ['varnishd', ...cache] }, ...(place.accessLog === undefined ? [] : [{ args: log }])];
  },
};
