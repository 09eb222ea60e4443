// etcd for the local stack: where its binary is, how it is started, and what to do when there is none.
import { accessSync, constants } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { HOST, type Layout } from './layout.ts';

export const INSTALL_ETCD = 'install it (Debian and Ubuntu: apt-get install etcd-server; macOS: brew install etcd)';

/** Whether `program` is an executable file in one of the folders of `searchPath` (the variable PATH). */
export function onPath(program: string, searchPath = ''): boolean {
  return searchPath.split(path.delimiter).some((folder) => {
    try {
      accessSync(path.join(folder, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

export function etcdEndpoint(layout: Layout): string {
  return `http://${HOST}:${layout.etcd.clientPort}`;
}

/** Arguments of Node.js that run etcd under etcd-child.ts. `directory`: where it keeps its state. */
export function etcdArguments(layout: Layout, directory: string): string[] {
  const clients = etcdEndpoint(layout);
  const peers = `http://${HOST}:${layout.etcd.peerPort}`;
  const flags = {
    name: 'meridian',
    'data-dir': directory,
    'listen-client-urls': clients,
    'advertise-client-urls': clients,
    'listen-peer-urls': peers,
    'initial-advertise-peer-urls': peers,
    'initial-cluster': `meridian=${peers}`,
    'auto-compaction-mode': 'periodic',
    'auto-compaction-retention': '1h',
  };
  const program = fileURLToPath(new URL('./etcd-child.ts', import.meta.url));
  return [program, clients, ...Object.entries(flags).flatMap(([name, value]) => [`--${name}`, value])];
}
