// What the disk tier asks of a file system, and the one of Node.js. Tests put another in its place, which fails or forgets.
//
// File numbers belong to the process: the main thread opens, all threads read and write, nobody closes while they may.
import fs from 'node:fs';
import { makeFolders } from '../../../infra/runtime/folders.ts';

/** Errors are the system's, with its `code`. Synchronous calls are for the start and for purges. */
export interface DiskFiles {
  /** With all folders above it; nothing happens where it exists. */
  makeFolder(folder: string): void;
  list(folder: string): string[];
  /** For reading and writing; made when it does not exist. */
  open(file: string): number;
  close(fd: number): void;
  remove(file: string): void;
  rename(from: string, to: string): void;
  truncate(fd: number, bytes: number): void;
  /** Fills `target` from `position`; the number of bytes is less only where the file ends. */
  readSync(fd: number, target: Buffer, position: number): number;
  writeSync(fd: number, source: Buffer, position: number): void;
  /** As `readSync`. */
  read(fd: number, target: Buffer, position: number): Promise<number>;
  /** One after the other. */
  write(fd: number, sources: readonly Buffer[], position: number): Promise<void>;
  /** What was written before is on the disk itself. */
  flush(fd: number): Promise<void>;
}

export const nodeFiles: DiskFiles = {
  makeFolder: (folder) => makeFolders(folder, 0o700),
  list: (folder) => fs.readdirSync(folder),
  open: (file) => fs.openSync(file, fs.constants.O_RDWR | fs.constants.O_CREAT, 0o600),
  close: (fd) => fs.closeSync(fd),
  remove: (file) => fs.rmSync(file, { force: true }),
  rename: (from, to) => fs.renameSync(from, to),
  truncate: (fd, bytes) => fs.ftruncateSync(fd, bytes),
  readSync(fd, target, position) {
    let done = 0;
    while (done < target.length) {
      const bytes = fs.readSync(fd, target, done, target.length - done, position + done);
      if (bytes === 0) break;
      done += bytes;
    }
    return done;
  },
  writeSync(fd, source, position) {
    for (let done = 0; done < source.length; ) {
      done += fs.writeSync(fd, source, done, source.length - done, position + done);
    }
  },
  read: (fd, target, position) =>
    new Promise((resolve, reject) => {
      let done = 0;
      const next = (): void =>
        fs.read(fd, target, done, target.length - done, position + done, (error, bytes) => {
          done += bytes;
          if (error) reject(error);
          else if (bytes === 0 || done === target.length) resolve(done);
          else next();
        });
      if (target.length === 0) resolve(0);
      else next();
    }),
  write: (fd, sources, position) =>
    new Promise((resolve, reject) => {
      let left = sources.filter(({ length }) => length > 0);
      let at = position;
      const next = (): void => {
        if (left.length === 0) {
          resolve();
          return;
        }
        const some = left.slice(0, MAX_VECTORS);
        fs.writev(fd, some, at, (error, bytes) => {
          if (error) {
            reject(error);
            return;
          }
          at += bytes;
          left = after(left, bytes);
          next();
        });
      };
      next();
    }),
  flush: (fd) => new Promise((resolve, reject) => fs.fdatasync(fd, (error) => (error ? reject(error) : resolve()))),
};

/** Buffers of one call; systems take 1024. */
const MAX_VECTORS = 512;

function after(sources: readonly Buffer[], bytes: number): Buffer[] {
  let skip = bytes;
  const left: Buffer[] = [];
  for (const source of sources) {
    if (skip >= source.length) skip -= source.length;
    else {
      left.push(source.subarray(skip));
      skip = 0;
    }
  }
  return left;
}
