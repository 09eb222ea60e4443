// The bodies that the origin sends and that the benchmark expects. Pure.

/** Bodies repeat after so many bytes. */
const PERIOD = 1024;

/** `bytes` of a text that begins with `path` and repeats every 1,024 bytes: no two paths have the same. */
export function bodyOf(path: string, bytes: number): Buffer {
  const unit = `${path}\n`.padEnd(PERIOD, 'abcdefghijklmnopqrstuvwxyz0123456789\n').slice(0, PERIOD);
  return Buffer.alloc(bytes, unit, 'latin1');
}
