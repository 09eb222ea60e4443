import { fillIn, type Peer } from './peer.ts';

export const caddy: Peer = {
  name: 'caddy',
  title: 'Caddy',
  program: 'caddy',
  package: 'caddy',
  version: ['caddy', 'version'],
  cannotCache: 'has no cache in Debian’s build',
  cannotTls: async () => undefined,
  async prepare(place) {
    const file = await fillIn('Caddyfile', place.directory, {
      ORIGIN_PORT: place.originPort,
      HTTP_PORT: place.httpPort,
      TLS_PORT: place.tlsPort,
      ACCESS_LOG: place.accessLog,
      CERTIFICATE: place.certificate.certificate,
      KEY: place.certificate.key,
    });
    // It keeps its own files under these.
    const env = {
      HOME: place.directory,
      XDG_DATA_HOME: place.directory,
      XDG_CONFIG_HOME: place.directory,
      GOMAXPROCS: '1',
    };
    return [{ args: ['caddy', 'run', '--adapter', 'caddyfile', '--config', file], env }];
  },
};
