// Who holds a certificate of Meridian, and the names that it then bears (docs/security.md). Pure.
import { isIP } from 'node:net';
import type { RoleName } from '../../proto/roles.ts';
import type { Wanted } from './folder.ts';

/** Under which a control plane is dialled where nothing else is said. */
export const LOCAL_HOSTS = ['localhost', '127.0.0.1', '::1'];

/** `byDefault` in each: as {@link Wanted} has it. */
export function controlPlaneHolder(hosts: readonly string[], byDefault: boolean): Wanted {
  const names = hosts.map((value) => ({ type: isIP(value) === 0 ? 'dns' : 'ip', value }) as const);
  return {
    holder: 'control-plane',
    subject: { commonName: 'Meridian control plane', use: 'server', names },
    byDefault,
  };
}

export const edgeHolder = (name: string, byDefault: boolean): Wanted =>
  client(`edge-${name}`, `edge ${name}`, `meridian://edge/${name}`, byDefault);

export const clientHolder = (name: string, role: RoleName, byDefault: boolean): Wanted =>
  client(`client-${name}`, name, `meridian://${role}/${name}`, byDefault);

function client(holder: string, commonName: string, uri: string, byDefault: boolean): Wanted {
  return { holder, subject: { commonName, use: 'client', names: [{ type: 'url', value: uri }] }, byDefault };
}
