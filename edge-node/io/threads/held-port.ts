// A port that the threads of one edge share (SO_REUSEPORT), kept for them by the main thread: it binds a socket of its own that
// never listens. So the port is known before any worker listens, is the same for all of them, and nobody else gets it while
// they are replaced.
import { lookup } from 'node:dns/promises';
import net, { type BoundSocket } from 'node:net';
import { listenError } from '../sockets.ts';

export interface HeldPort {
  /** An address, not a name. */
  readonly host: string;
  readonly port: number;
  /** False: this system cannot share a port, so nothing is held, and one worker is to listen by itself. */
  readonly reusePort: boolean;
  release(): void;
}

/** Whether this system lets several sockets listen on one port. */
export function canSharePorts(): boolean {
  try {
    new net.BoundSocket({ host: '127.0.0.1', reusePort: true }).close();
    return true;
  } catch {
    return false;
  }
}

/**
 * Rejects with a sentence that says what to do when the address cannot be had. `alone`: nobody else may listen there; otherwise
 * it may be another process of the same user.
 */
export async function holdPort(name: string, port: number, alone: boolean): Promise<HeldPort> {
  const host = await resolve(name);
  if (!canSharePorts()) return { host, port, reusePort: false, release: () => undefined };
  // With SO_REUSEPORT, two edges that were given one port by mistake would share it in silence.
  if (alone && port !== 0) bind({ host, port, reusePort: false }).close();
  const held = bind({ host, port, reusePort: true });
  return { host, port: held.address().port, reusePort: true, release: () => held.close() };
}

/** The address of a host that is given by name. */
export async function resolve(name: string): Promise<string> {
  if (net.isIP(name) !== 0) return name;
  try {
    return (await lookup(name)).address;
  } catch (cause) {
    throw new Error(`cannot listen on ${name}: the name has no address; give an address of this machine`, { cause });
  }
}

function bind(options: { host: string; port: number; reusePort: boolean }): BoundSocket {
  try {
    return new net.BoundSocket(options);
  } catch (error) {
    throw error instanceof Error ? listenError(error, options) : error;
  }
}
