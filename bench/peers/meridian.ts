import { execFile } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { fillIn, type Peer } from './peer.ts';

const MERIDIAN = [process.execPath, fileURLToPath(new URL('../../bin/meridian.js', import.meta.url))];

let help: Promise<{ readonly stdout: string }> | undefined;

export const meridian: Peer = {
  name: 'meridian',
  title: 'Meridian',
  program: undefined,
  package: undefined,
  version: [...MERIDIAN, '--version'],
  cannotTls() {
    help ??= promisify(execFile)(process.execPath, [...MERIDIAN.slice(1), 'help', 'edge']);
    return help.then(({ stdout }) => (/--tls-listen\b/.test(stdout) ? undefined : 'has no TLS listener yet'));
  },
  async prepare(place) {
    const file = await fillIn('meridian.yaml', place.directory, { ORIGIN_PORT: place.originPort });
    const args = [...MERIDIAN, 'edge', '--name', 'bench', '--snapshot', file];
    args.push('--listen', `127.0.0.1:${place.httpPort}`, '--admin-listen', '127.0.0.1:0', '--log-level', 'warn');
    args.push('--data', path.join(place.directory, 'data'), '--cache-bytes', '2GiB');
    args.push('--access-log', place.accessLog ?? 'off');
    // All load comes from one address.
    args.push('--max-client-connections', '20000');
    if ((await meridian.cannotTls()) === undefined) {
      args.push('--tls-listen', `127.0.0.1:${place.tlsPort}`, '--certificates', place.certificate.directory);
    }
    return [{ args }];
  },
};
