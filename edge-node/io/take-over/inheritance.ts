// What a process that takes the ports of a running edge over gets from it: its listening sockets, as descriptors that it was born
// with, and a channel. The sockets are the same ones, so connections that wait in their queues, and those that are just being
// made, are nobody's loss (docs/adr/0010).
//
//   new process                     old process
//   ready ────────────────────────▶       could serve, and does not accept yet
//         ◀──────────────────── go        accepts no more
//   failed: why ──────────────────▶       instead of ready; the old one goes on
//
// Channel and sockets are told by the variable MERIDIAN_INHERITED.
import { closeSync } from 'node:fs';
import { Socket } from 'node:net';

/** A port as it is open in the process that hands it over. */
export interface InheritedPort {
  readonly host: string;
  readonly port: number;
  readonly descriptors: readonly number[];
}

export const PORTS = ['http', 'https', 'admin'] as const;
export type PortName = (typeof PORTS)[number];
export type InheritedPorts = Partial<Record<PortName, InheritedPort>>;

export const VARIABLE = 'MERIDIAN_INHERITED';

/** How long the old process may take to stop accepting, milliseconds. */
const GO_MS = 30_000;

export class Inheritance {
  /** The highest descriptor of all. */
  readonly highest: number;
  readonly #ports: Map<PortName, InheritedPort>;
  readonly #channel: Socket;

  /** `text`: the value of {@link VARIABLE}. Throws an Error when it is not what an edge writes. */
  constructor(text: string) {
    const { channel, ports } = parse(text);
    this.#ports = new Map(PORTS.flatMap((name) => (ports[name] ? [[name, ports[name]]] : [])));
    this.highest = Math.max(channel, ...[...this.#ports.values()].flatMap(({ descriptors }) => descriptors));
    this.#channel = new Socket({ fd: channel, readable: true, writable: true });
    // Who hands over may be gone: then there is nobody left to wait for.
    this.#channel.on('error', () => undefined);
  }

  /** The sockets of a port, if they are those of `host` and `port` (0: of whatever port). Once. */
  take(name: PortName, host: string, port: number): InheritedPort | undefined {
    const found = this.#ports.get(name);
    if (found === undefined || found.host !== host || (port !== 0 && port !== found.port)) return undefined;
    this.#ports.delete(name);
    return found;
  }

  /** Says that all is ready; resolves when the other has stopped accepting, or is gone. */
  async ready(): Promise<void> {
    for (const { descriptors } of this.#ports.values()) for (const descriptor of descriptors) closeSync(descriptor);
    const go = Promise.withResolvers<void>();
    this.#channel.once('data', go.resolve);
    this.#channel.once('close', go.resolve);
    // It hangs: both may accept from the same queue.
    this.#channel.setTimeout(GO_MS, go.resolve);
    this.#channel.write('ready\n');
    await go.promise;
    this.#channel.destroy();
  }

  failed(reason: string): void {
    if (!this.#channel.destroyed) this.#channel.end(`failed: ${reason.replaceAll('\n', ' ')}\n`);
  }
}

/** As it goes into {@link VARIABLE}, for a child whose descriptors from `first` on are the channel and then these, in order. */
export function inheritanceOf(ports: InheritedPorts, first: number): { text: string; descriptors: number[] } {
  const descriptors: number[] = [];
  const theirs: Record<string, InheritedPort> = {};
  for (const name of PORTS) {
    const port = ports[name];
    if (port === undefined) continue;
    theirs[name] = {
      ...port,
      descriptors: port.descriptors.map((descriptor) => first + descriptors.push(descriptor)),
    };
  }
  return { text: JSON.stringify({ channel: first, ports: theirs }), descriptors };
}

function parse(text: string): { channel: number; ports: InheritedPorts } {
  const wrong = new Error(`the variable ${VARIABLE} is set by an edge that hands its ports over, not by hand`);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw wrong;
  }
  if (typeof value !== 'object' || value === null || !('channel' in value) || !('ports' in value)) throw wrong;
  const { channel, ports } = value;
  if (!isDescriptor(channel) || typeof ports !== 'object' || ports === null) throw wrong;
  for (const [name, port] of Object.entries(ports)) {
    if (!PORTS.some((known) => known === name) || !isPort(port)) throw wrong;
  }
  return { channel, ports };
}

function isPort(value: unknown): value is InheritedPort {
  if (typeof value !== 'object' || value === null) return false;
  const { host, port, descriptors } = value as Partial<Record<keyof InheritedPort, unknown>>;
  return (
    typeof host === 'string' && Number.isInteger(port) && Array.isArray(descriptors) && descriptors.every(isDescriptor)
  );
}

function isDescriptor(value: unknown): value is number {
  return Number.isInteger(value) && Number(value) > 2;
}
