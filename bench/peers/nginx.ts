import { readFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { fillIn, type Peer } from './peer.ts';

/** For connections of clients and to the origin, beside files that are kept open. */
const OPEN_SOCKETS = 12_000;
const MOST_CACHED_FILES = 200_000;

/** As its guides have it. */
export const nginx: Peer = peer('nginx', 'nginx', 'on');
/** Bodies are read and written, not sent from file to socket by the kernel. */
export const nginxCopying: Peer = peer('nginx-copy', 'nginx, sendfile off', 'off');

function peer(name: string, title: string, sendfile: 'on' | 'off'): Peer {
  return {
    name,
    title,
    program: 'nginx',
    package: 'nginx',
    variant: sendfile === 'off',
    version: ['nginx', '-v'],
    cannotTls: async () => undefined,
    async prepare(place) {
      const openFiles = openFilesLimit();
      const file = await fillIn('nginx.conf', place.directory, {
        // Its worker must be able to write into a folder of ours; who is not root runs it as himself anyway.
        USER: process.getuid?.() === 0 ? userInfo().username : undefined,
        SENDFILE: sendfile,
        OPEN_FILES: openFiles,
        CACHED_FILES: Math.min(MOST_CACHED_FILES, Math.max(1_000, openFiles - OPEN_SOCKETS)),
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
}

/** How many files a process may have open, at most. */
function openFilesLimit(): number {
  const hard = /^Max open files\s+\d+\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1];
  return Number(hard ?? 1024);
}
