import { userInfo } from 'node:os';
import { fillIn, type Peer } from './peer.ts';

export const nginx: Peer = {
  name: 'nginx',
  title: 'nginx',
  program: 'nginx',
  package: 'nginx',
  version: ['nginx', '-v'],
  cannotTls: async () => undefined,
  async prepare(place) {
    const file = await fillIn('nginx.conf', place.directory, {
      // Its worker must be able to write into a folder of ours; who is not root runs it as himself anyway.
      USER: process.getuid?.() === 0 ? userInfo().username : undefined,
      ORIGIN_PORT: place.originPort,
      HTTP_PORT: place.httpPort,
      TLS_PORT: place.tlsPort,
      ACCESS_LOG: place.accessLog,
      NO_ACCESS_LOG: place.accessLog === undefined ? 'yes' : undefined,
      CERTIFICATE: place.certificate.certificate,
      KEY: place.certificate.key,
    });
    return [{ args: ['nginx', '-p', place.directory, '-e', 'stderr', '-c', file] }];
  },
};
