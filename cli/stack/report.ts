// What `meridian up` tells a newcomer once everything runs: what is where, and what to try. Pure.
import { table } from '../output/table.ts';
import { HOST, type Layout } from './layout.ts';

export interface Running {
  readonly layout: Layout;
  /** By process name. */
  readonly pid: (name: string) => number | undefined;
  /** How to call the command from here: `./bin/meridian.js`. */
  readonly command: string;
  /** What the command needs to find this control plane; empty where it is the default. */
  readonly controlFlag: string;
  /** What `simulate` needs to find the edges; empty where it is the default. */
  readonly portFlag: string;
  readonly store: string;
  readonly logs: string;
  /** Milliseconds; undefined: never. */
  readonly restartAfterMs: number | undefined;
}

/** The table and the commands, ending in a newline. */
export function describeStack(running: Running): string {
  const { layout, pid } = running;
  const row = (name: string, role: string, place: string, address: string) => [
    name,
    role,
    place,
    address,
    String(pid(name) ?? '-'),
  ];
  const rows = [
    ...(pid('etcd') === undefined ? [] : [row('etcd', 'store', '-', `http://${HOST}:${layout.etcd.clientPort}`)]),
    row('control-plane', `control plane (${running.store})`, '-', `${HOST}:${layout.control.adminPort}`),
    ...layout.edges.map(({ name, city, port }) => row(name, 'edge', city, `http://${HOST}:${port}`)),
    ...layout.origins.map(({ name, city, port }) => row(name, 'origin', city, `http://${HOST}:${port}`)),
  ];
  const [edge] = layout.edges;
  const [origin] = layout.origins;
  const url = `http://${HOST}:${edge?.port}/hello`;
  const meridian = (words: string) => `${running.command} ${words}${running.controlFlag}`;
  const fate =
    running.restartAfterMs === undefined ? 'it stays down' : `it comes back after ${running.restartAfterMs / 1000} s`;
  return `${table(['NAME', 'ROLE', 'PLACE', 'ADDRESS', 'PID'], rows)}
Try these in another terminal: a request as a client in Sydney, why one from Rio de Janeiro goes where it goes, and a purge.
  curl -i -H 'X-Forwarded-For: 1.1.1.1' ${url}
  ${meridian(`explain ${url} --ip 200.147.35.149`)}
  ${meridian(`purge url ${url}`)}
Clients of many cities at once: ${meridian('simulate')}${running.portFlag}; what changes meanwhile: ${meridian('watch')}.
Stop an origin and ask again: kill -9 ${pid(origin?.name ?? '')} (${origin?.city}; ${fate}).
Logs: ${running.logs}. Ctrl-C ends everything.
`;
}
