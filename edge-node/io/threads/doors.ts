// The ports at which clients come in, as all threads share them: held for the threads, and known by the descriptors of the threads'
// sockets, for a process that takes them over; or taken over from one.
import type { CertificateSet } from '../certificates.ts';
import type { Inheritance, InheritedPort, InheritedPorts } from '../take-over/inheritance.ts';
import { type HeldPort, holdPort, resolve } from './held-port.ts';
import type { FromWorker, OpenPort, SharedPort, ToWorker } from './messages.ts';

type DoorName = 'http' | 'https';
type Open = FromWorker & { kind: 'listening' };

export interface Secure {
  readonly certificates: CertificateSet;
  readonly ticketKeys: Uint8Array;
}

interface Door {
  readonly held: HeldPort;
  /** Given to threads as they come first; who comes in the place of a dead one binds anew. */
  readonly left: number[];
}

export class Doors {
  readonly #doors = new Map<DoorName, Door>();
  /** By thread. */
  readonly #open = new Map<number, Open>();

  /** Rejects with a sentence that says what to do when the address cannot be had. */
  async hold(
    name: DoorName,
    address: { readonly host: string; readonly port: number },
    inheritance: Inheritance | undefined,
  ): Promise<void> {
    const taken = inheritance?.take(name, await resolve(address.host), address.port);
    const held = await holdPort(address.host, taken?.port ?? address.port, taken === undefined);
    this.#doors.set(name, { held, left: [...(taken?.descriptors ?? [])] });
  }

  /** What `thread` of so many is to listen on. Sockets that were taken over are dealt out, since each has its queue. */
  message(thread: number, workers: number, secure: Secure | undefined): ToWorker & { kind: 'listen' } {
    const http = this.#share('http', thread, workers);
    const https = this.#share('https', thread, workers);
    if (http === undefined) throw new Error('the port for http is not held');
    return { kind: 'listen', http, https: https && secure && { ...https, ...secure } };
  }

  opened(thread: number, message: Open): void {
    this.#open.set(thread, message);
  }

  /** The thread's sockets are gone. */
  forget(thread: number): void {
    this.#open.delete(thread);
  }

  /** Threads that listen. */
  get threads(): number {
    return this.#open.size;
  }

  /** As clients know it; undefined when there is none. */
  port(name: DoorName): number | undefined {
    const held = this.#doors.get(name)?.held.port;
    return held === 0 ? this.#all(name)[0]?.port : held;
  }

  /** For the process that takes over. */
  inherited(admin: InheritedPort): InheritedPorts {
    const of = (name: DoorName): InheritedPort | undefined => {
      const host = this.#doors.get(name)?.held.host;
      const port = this.port(name);
      if (host === undefined || port === undefined) return undefined;
      return { host, port, descriptors: this.#all(name).flatMap(({ descriptors }) => descriptors) };
    };
    const [http, https] = [of('http'), of('https')];
    return { ...(http && { http }), ...(https && { https }), admin };
  }

  release(): void {
    for (const { held } of this.#doors.values()) held.release();
    this.#doors.clear();
  }

  #all(name: DoorName): OpenPort[] {
    return [...this.#open.values()].flatMap((open) => open[name] ?? []);
  }

  #share(name: DoorName, thread: number, workers: number): SharedPort | undefined {
    const door = this.#doors.get(name);
    if (door === undefined) return undefined;
    const { host, port, reusePort } = door.held;
    const handedOver = door.left.filter((descriptor, index) => descriptor >= 0 && index % workers === thread - 1);
    for (const descriptor of handedOver) door.left[door.left.indexOf(descriptor)] = -1;
    return { host, port, reusePort, handedOver };
  }
}
