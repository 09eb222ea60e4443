// The access log: one JSON object a line for each exchange, off the request's path. The path only appends to an array; lines
// are made in batches between events (access-line.ts), and pino's destination writes them in the background, in large pieces.
//
//   edge         name of this edge                        cache        Cache-Status of the answer (RFC 9211)
//   time         when the request came, ISO 8601, UTC     outcome      hit, stale, revalidated, miss, bypass or none
//   client       client's address                         site         site that was asked, if one was
//   method       request method                           origin       origin that answered, if one did
//   host         canonical host, or what was sent         failure      stable code of what went wrong, if anything
//   target       path and query                           user_agent   User-Agent of the request
//   status       status of the answer                     referer      Referer of the request
//   bytes        bytes of the body sent                   version      revision of the snapshot that served
//   duration_ms  request's arrival to answer's end          sample       share of which it was drawn, if it was (access-sample.ts)
//
// Absent values are left out. Long texts are cut. Whatever the destination does (a full disk, a reader that went away or
// stands still), requests go on: what does not fit the buffers is dropped and counted, and the failure is logged once a
// minute at most. A regular file is appended to, and opened anew by `reopen` after it was rotated.
//
// Several threads and processes write to one destination, each whole lines at a time: to a file in append mode, which no write of
// another breaks up, and to a pipe no more at once than it takes whole (POSIX: PIPE_BUF), so that only lines longer than that
// may be broken up there.
import { fstatSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import pino from 'pino';
import type { Clock, Timer } from '../../infra/runtime/clock.ts';
import type { Log } from '../../infra/runtime/log.ts';
import type { Counter, Metrics } from '../../infra/runtime/metrics.ts';
import { AccessLines, type AccessRecord } from './access-line.ts';

export interface AccessLogOptions {
  readonly edge: string;
  /** A file's path, or a file descriptor (1: standard output). */
  readonly destination: string | number;
}

export interface AccessLogPorts {
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
}

/** Records that wait to be made into lines. */
const MAX_RECORDS = 10_000;
/** Lines made between two events. */
const BATCH = 500;
/** Lines are handed to the system in pieces of about this size, characters: each takes a thread from the pool. */
const PIECE = 64 * 1024;
/** What anything but a regular file takes whole, bytes: so lines of several threads do not run into each other. */
const PIPE_BYTES = 4 * 1024;
/** Lines that wait to be written, bytes. */
const MAX_BUFFER_BYTES = 8 * 1024 * 1024;
const FLUSH_MS = 1_000;
const COMPLAIN_MS = 60_000;

type Destination = ReturnType<typeof pino.destination>;

export class AccessLog {
  readonly #options: AccessLogOptions;
  readonly #ports: AccessLogPorts;
  readonly #destination: Destination;
  /** Whether that is a regular file. */
  readonly #regular: boolean;
  readonly #dropped: Counter;
  readonly #flusher: Timer;
  readonly #lines: AccessLines;
  #records: AccessRecord[] = [];
  /** Lines of the next piece. */
  #text = '';
  #scheduled = false;
  /** The reader of a pipe went away: nothing more can be written. */
  #broken = false;
  #closed = false;
  #complainedAt = Number.NEGATIVE_INFINITY;

  private constructor(options: AccessLogOptions, ports: AccessLogPorts, destination: Destination, regular: boolean) {
    this.#regular = regular;
    this.#options = options;
    this.#ports = ports;
    this.#destination = destination;
    this.#lines = new AccessLines(options.edge);
    this.#dropped = ports.metrics.counter('meridian_access_log_dropped_total', 'Lines lost to a slow destination.');
    destination.on('error', (error: NodeJS.ErrnoException) => this.#failed(error));
    destination.on('drop', (text: string) => this.#dropped.add(text.split('\n').length - 1));
    this.#flusher = ports.clock.every(FLUSH_MS, () => {
      this.#handOver();
      // What failed is tried again.
      destination.flush();
    });
  }

  /** Rejects with a message for the operator when the destination cannot be opened. */
  static async open(options: AccessLogOptions, ports: AccessLogPorts): Promise<AccessLog> {
    const regular = await isRegular(options.destination);
    const destination = pino.destination({
      dest: options.destination,
      sync: false,
      append: true,
      minLength: 1,
      ...(!regular && { maxWrite: PIPE_BYTES }),
      maxLength: MAX_BUFFER_BYTES,
    });
    const opened = new Promise<void>((resolve, reject) => {
      destination.once('ready', resolve);
      destination.once('error', reject);
    });
    await opened.catch((error: Error) => {
      // It never was open, but pino, unless told, would write to it when the process exits.
      destination.emit('close');
      throw new Error(`the access log ${options.destination} cannot be opened: ${error.message}`, { cause: error });
    });
    return new AccessLog(options, ports, destination, regular);
  }

  /** Takes one exchange. Never throws and never waits. */
  log(record: AccessRecord): void {
    if (this.#broken || this.#closed || this.#records.length >= MAX_RECORDS) {
      this.#dropped.add();
      return;
    }
    this.#records.push(record);
    this.#schedule();
  }

  /** Goes on in a new file of the same path: call when the file was moved away. No effect on a file descriptor. */
  reopen(): void {
    if (typeof this.#options.destination === 'string' && !this.#closed) this.#destination.reopen();
  }

  /** Writes what was taken so far, then closes. Resolves in any case, when that is done or has failed. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#flusher.cancel();
    this.#write(this.#records);
    this.#records = [];
    this.#handOver();
    if (!this.#broken) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#destination.once('close', resolve);
      this.#destination.once('error', () => resolve());
      this.#destination.end();
      await promise;
    }
    // What cannot be written is given up: left open, it would be tried again, for ever, when the process exits.
    this.#destination.destroy();
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(this.#next);
  }

  readonly #next = (): void => {
    this.#scheduled = false;
    if (this.#closed) return;
    const batch = this.#records;
    this.#records = batch.length > BATCH ? batch.splice(BATCH) : [];
    this.#write(batch);
    if (this.#records.length > 0) this.#schedule();
  };

  #write(records: readonly AccessRecord[]): void {
    for (const record of records) {
      const line = this.#lines.line(record);
      if (!this.#regular && Buffer.byteLength(this.#text) + Buffer.byteLength(line) > PIPE_BYTES) this.#handOver();
      this.#text += line;
      if (this.#text.length >= PIECE) this.#handOver();
    }
  }

  #handOver(): void {
    const text = this.#text;
    this.#text = '';
    if (text !== '') this.#destination.write(text);
  }

  #failed(error: NodeJS.ErrnoException): void {
    if (error.code === 'EPIPE') {
      this.#broken = true;
      this.#flusher.cancel();
    }
    const now = this.#ports.clock.monotonic();
    if (now - this.#complainedAt < COMPLAIN_MS) return;
    this.#complainedAt = now;
    const fields = { destination: this.#options.destination, err: error };
    this.#ports.log.error(fields, 'the access log cannot be written; lines that do not fit its buffer are dropped');
  }
}

/** Also when there is no such file yet. */
async function isRegular(destination: string | number): Promise<boolean> {
  try {
    const stats = typeof destination === 'number' ? fstatSync(destination) : await stat(destination);
    return stats.isFile();
  } catch {
    return true;
  }
}
