// Its in-memory log is always on, as its guides have it; the access log is written from there by varnishncsa, whose CPU time and
// memory count as Varnish's.
import path from 'node:path';
import { fillIn, type Peer } from './peer.ts';

/** One pool for one core. Idle connections are kept as long as the other servers keep theirs. */
const PARAMETERS = {
  thread_pools: 1,
  thread_pool_min: 200,
  thread_pool_max: 5_000,
  timeout_idle: 75,
  listen_depth: 4096,
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
