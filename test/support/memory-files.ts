// A file system in memory, for the disk tier: it can fail, be slow, lose what was not written yet, and be looked into.
import path from 'node:path';
import type { DiskFiles } from '../../edge-node/io/disk/files.ts';

/** What a system call says when it fails. */
export function systemError(code: string): Error {
  return Object.assign(new Error(`${code}: the disk said so`), { code });
}

export class MemoryFiles implements DiskFiles {
  /** By path; shared by those that open the same. */
  readonly contents = new Map<string, { bytes: Buffer; length: number }>();
  readonly #open = new Map<number, string>();
  #next = 1;
  /** Given to the next calls that read or write, instead of doing it. */
  failReads: string | undefined;
  failWrites: string | undefined;
  /** Asynchronous writes wait until it is resolved. */
  held: Promise<void> | undefined;
  reads = 0;
  readBytes = 0;

  makeFolder(): void {
    this.#mayWrite();
  }

  list(folder: string): string[] {
    return [...this.contents.keys()].filter((file) => path.dirname(file) === folder).map((file) => path.basename(file));
  }

  open(file: string): number {
    if (!this.contents.has(file)) {
      this.#mayWrite();
      this.contents.set(file, { bytes: Buffer.alloc(1024), length: 0 });
    }
    const fd = this.#next;
    this.#next += 1;
    this.#open.set(fd, file);
    return fd;
  }

  close(fd: number): void {
    this.#open.delete(fd);
  }

  remove(file: string): void {
    this.#mayWrite();
    this.contents.delete(file);
  }

  rename(from: string, to: string): void {
    this.#mayWrite();
    const content = this.contents.get(from);
    if (content === undefined) throw systemError('ENOENT');
    this.contents.delete(from);
    this.contents.set(to, content);
    for (const [fd, file] of this.#open) if (file === from) this.#open.set(fd, to);
  }

  truncate(fd: number, bytes: number): void {
    this.#mayWrite();
    this.#content(fd).length = bytes;
  }

  readSync(fd: number, target: Buffer, position: number): number {
    if (this.failReads !== undefined) throw systemError(this.failReads);
    const { bytes, length } = this.#content(fd);
    const copied = position >= length ? 0 : bytes.copy(target, 0, position, length);
    this.reads += 1;
    this.readBytes += copied;
    return copied;
  }

  writeSync(fd: number, source: Buffer, position: number): void {
    this.#mayWrite();
    const content = this.#content(fd);
    const end = position + source.length;
    if (end > content.bytes.length) {
      const larger = Buffer.alloc(Math.max(end, content.bytes.length * 2));
      content.bytes.copy(larger, 0, 0, content.length);
      content.bytes = larger;
    }
    if (position > content.length) content.bytes.fill(0, content.length, position);
    source.copy(content.bytes, position);
    content.length = Math.max(content.length, end);
  }

  async read(fd: number, target: Buffer, position: number): Promise<number> {
    await Promise.resolve();
    return this.readSync(fd, target, position);
  }

  async write(fd: number, sources: readonly Buffer[], position: number): Promise<void> {
    await (this.held ?? Promise.resolve());
    let at = position;
    for (const source of sources) {
      this.writeSync(fd, source, at);
      at += source.length;
    }
  }

  async flush(): Promise<void> {
    await Promise.resolve();
    this.#mayWrite();
  }

  /** As it is at this moment: what a crash would leave. */
  copy(): MemoryFiles {
    const copy = new MemoryFiles();
    for (const [file, { bytes, length }] of this.contents) {
      copy.contents.set(file, { bytes: Buffer.from(bytes), length });
    }
    return copy;
  }

  #content(fd: number): { bytes: Buffer; length: number } {
    const content = this.contents.get(this.#open.get(fd) ?? '');
    if (content === undefined) throw systemError('EBADF');
    return content;
  }

  #mayWrite(): void {
    if (this.failWrites !== undefined) throw systemError(this.failWrites);
  }
}
