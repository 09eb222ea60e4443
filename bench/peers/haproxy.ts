import { fillIn, type Peer } from './peer.ts';

export const haproxy: Peer = {
  name: 'haproxy',
  title: 'HAProxy',
  program: 'haproxy',
  package: 'haproxy',
  version: ['haproxy', '-v'],
  cannotTls: async () => undefined,
  async prepare(place) {
    const file = await fillIn('haproxy.cfg', place.directory, {
      ORIGIN_PORT: place.originPort,
      HTTP_PORT: place.httpPort,
      TLS_PORT: place.tlsPort,
      ACCESS_LOG: place.accessLog,
      CERTIFICATE_AND_KEY: place.certificate.both,
    });
    const stdout = place.accessLog;
    return [{ args: ['haproxy', '-f', file], ...(stdout !== undefined && { stdout }) }];
  },
};
