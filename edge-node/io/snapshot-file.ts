// The last good snapshot on disk, so that an edge that starts while every control plane is down serves what it served.
//
// The file: one line of text, "meridian-snapshot 1 sha256=HEX length=N", then N bytes of protobuf (a meridian.v1.Snapshot).
// It is written beside its place, flushed, and moved there, so that a crash at any moment leaves a whole file; the one
// before is kept as FILE.previous, for the day when the disk itself damages the newer one.
import { createHash } from 'node:crypto';
import { copyFile, link, mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import type { Log } from '../../infra/runtime/log.ts';
import { Snapshot } from '../../proto/gen/meridian/v1/resources.ts';
import { LIMITS } from '../../proto/limits.ts';
import { formatVersion } from '../../proto/version.ts';

const FORMAT = 1;
const HEADER = /^meridian-snapshot (\d{1,9})(?: sha256=([0-9a-f]{64}) length=(\d{1,9}))?(?: [^\n]*)?\n/;
/** Longest header line that is looked for, bytes. */
const HEADER_BYTES = 256;

/** The file is of another release's format. `message` says what to do. */
export class SnapshotFormatError extends Error {
  override readonly name = 'SnapshotFormatError';
}

type Reading =
  | { readonly kind: 'snapshot'; readonly snapshot: Snapshot }
  | { readonly kind: 'absent' }
  | { readonly kind: 'damaged'; readonly reason: string };

export class SnapshotFile {
  readonly #file: string;
  readonly #log: Log;
  /** Whether what stands at `#file` may become the previous one. A damaged file must not displace a good one. */
  #intact = false;

  /** `file`: its folder is made when it is first written. One process to a file. */
  constructor(file: string, log: Log) {
    this.#file = path.resolve(file);
    this.#log = log;
  }

  /** Resolves when the snapshot is durable; call again only then. Rejects with the file system's error; what was there stays. */
  async write(snapshot: Snapshot): Promise<void> {
    const bytes = Snapshot.encode(snapshot).finish();
    const header = `meridian-snapshot ${FORMAT} sha256=${digest(bytes)} length=${bytes.length}\n`;
    const fresh = `${this.#file}.new`;
    await mkdir(path.dirname(this.#file), { recursive: true });
    try {
      const handle = await open(fresh, 'w', 0o600);
      try {
        await handle.writeFile(header);
        await handle.writeFile(bytes);
        await handle.sync();
      } finally {
        await handle.close();
      }
      if (this.#intact) await this.#keepPrevious();
      await rename(fresh, this.#file);
    } catch (error) {
      await rm(fresh, { force: true }).catch(() => undefined);
      throw error;
    }
    this.#intact = true;
    await syncFolder(path.dirname(this.#file));
  }

  /**
   * The newest snapshot that is whole; undefined when there is none. Damage is logged and the file before it is used.
   * Throws a {@link SnapshotFormatError} for a file that another release wrote, and the file system's error when it cannot be
   * read though it is there.
   */
  async read(): Promise<Snapshot | undefined> {
    for (const file of [this.#file, this.#previous]) {
      const reading = await readSnapshot(file);
      if (reading.kind === 'absent') continue;
      if (reading.kind === 'damaged') {
        this.#log.error({ file, reason: reading.reason }, 'the snapshot on disk is damaged; trying the one before it');
        continue;
      }
      const version = formatVersion(reading.snapshot.version);
      if (file === this.#file) this.#intact = true;
      else this.#log.warn({ file, version }, 'starting from the previous snapshot');
      return reading.snapshot;
    }
    return undefined;
  }

  get #previous(): string {
    return `${this.#file}.previous`;
  }

  /** By a link, so that at no moment is there no file in the place; by a copy where there are no links. */
  async #keepPrevious(): Promise<void> {
    const aside = `${this.#previous}.new`;
    await rm(aside, { force: true });
    await link(this.#file, aside).catch(() => copyFile(this.#file, aside));
    await rename(aside, this.#previous);
  }
}

async function readSnapshot(file: string): Promise<Reading> {
  let content: Buffer;
  try {
    if ((await stat(file)).size > LIMITS.messageBytes + HEADER_BYTES) {
      return { kind: 'damaged', reason: 'larger than any snapshot' };
    }
    content = await readFile(file);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return { kind: 'absent' };
    throw error;
  }
  const match = HEADER.exec(content.toString('latin1', 0, HEADER_BYTES));
  if (!match) return { kind: 'damaged', reason: 'does not begin as a snapshot file does' };
  const [line, format, sha256, length] = match;
  if (Number(format) !== FORMAT) {
    throw new SnapshotFormatError(
      `${file} is of format ${format} and this release reads format ${FORMAT}: run the release that wrote it, or remove ` +
        'the file to start without a snapshot until a control plane sends one',
    );
  }
  if (length === undefined) return { kind: 'damaged', reason: 'its first line is damaged' };
  const bytes = content.subarray(line.length);
  if (bytes.length !== Number(length)) {
    return { kind: 'damaged', reason: `${bytes.length} bytes where the header promises ${length}` };
  }
  if (digest(bytes) !== sha256) return { kind: 'damaged', reason: 'the checksum does not match' };
  try {
    return { kind: 'snapshot', snapshot: Snapshot.decode(bytes) };
  } catch (error) {
    return { kind: 'damaged', reason: error instanceof Error ? error.message : 'does not decode' };
  }
}

function digest(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** Makes a rename durable. Windows has no such thing for folders. */
async function syncFolder(folder: string): Promise<void> {
  if (process.platform === 'win32') return;
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
