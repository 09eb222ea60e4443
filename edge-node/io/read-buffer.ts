// Reads of a thread's connections into one buffer. By default Node makes a new buffer of 64 KiB for each read, cuts it down to
// what came and passes it through a stream: a fifth of what a cache hit costs. Its way around that, the option `onread` of
// net.Socket, is for sockets that one makes oneself; those of a server are made by Node. So what the option would have set is
// set here afterwards. None of that is documented: where anything is not as it is in the Node.js release that Meridian pins, the
// socket is left as it was and its reader takes "data" events instead.
import { Socket } from 'node:net';

/** As large as what Node reads at once. */
const BYTES = 64 * 1024;

interface Keys {
  readonly buffer: symbol;
  readonly callback: symbol;
}

let keys: Keys | undefined;

/** One for each thread. What a reader does not use before it returns, it has to copy. */
export class ReadBuffer {
  readonly octets: Buffer = Buffer.allocUnsafeSlow(BYTES);

  /**
   * From now on `onRead` gets the number of octets at the beginning of the buffer, for each read; "end", "close", `pause` and
   * `resume` are as ever. To be called before anything can have been read. False: it cannot be done with this socket.
   */
  readInto(socket: unknown, onRead: (octets: number) => void): boolean {
    if (!(socket instanceof Socket) || socket.readableLength > 0) return false;
    keys ??= findKeys(socket);
    const handle: unknown = Reflect.get(socket, '_handle');
    if (keys === undefined || !hasUseUserBuffer(handle)) return false;
    Reflect.set(socket, keys.buffer, this.octets);
    Reflect.set(socket, keys.callback, onRead);
    handle.useUserBuffer(this.octets);
    return true;
  }
}

function findKeys(socket: Socket): Keys | undefined {
  const symbols = Object.getOwnPropertySymbols(socket);
  const find = (name: string) =>
    symbols.find((symbol) => symbol.description === name && Reflect.get(socket, symbol) === null);
  const [buffer, callback, generator] = ['kBuffer', 'kBufferCb', 'kBufferGen'].map(find);
  return buffer && callback && generator && { buffer, callback };
}

function hasUseUserBuffer(handle: unknown): handle is { useUserBuffer(octets: Uint8Array): void } {
  return typeof handle === 'object' && handle !== null && typeof Reflect.get(handle, 'useUserBuffer') === 'function';
}
