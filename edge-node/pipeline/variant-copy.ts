// What is stored for other requests, and is what this one is answered with, as a 304 has said: stored for requests like this one
// too, with a head of its own. A body in memory is copied at once, one on disk on its way to the client.
import type { BodySink, OpenBody } from '../decide/cache/body-source.ts';
import type { CacheEntry, StoredHead, StoreWriter } from '../decide/cache/entry.ts';
import { bodyLength } from '../decide/cache/slices.ts';
import { isUnchanged } from '../decide/cache/validation.ts';
import type { Exchange } from './exchange.ts';
import type { FillTable } from './fill-table.ts';

/** The body of `entry`, which `x` is about to be answered with, is stored under `head` as well. False: it will not be. */
export function copyVariant(x: Exchange, fills: FillTable, entry: CacheEntry, head: StoredHead): boolean {
  const { key, host, purgeTarget, body } = entry;
  const conditions = x.requestClass?.kind === 'lookup' ? x.requestClass.conditions : undefined;
  // A client that has it is sent nothing, so nothing is read.
  if (x.openBody !== undefined && conditions !== undefined && isUnchanged(conditions, head)) return false;
  const begun = fills.ports.cache.begin({ key, host, purgeTarget, head }, bodyLength(entry));
  if (begun === undefined) {
    x.forwardDetail = 'too-large';
    return false;
  }
  const writer = fills.guarded(x, begun);
  if (x.openBody !== undefined) {
    x.openBody = new CopiedBody(x.openBody, writer);
    return true;
  }
  const written = writer.write(body);
  if (written) writer.commit();
  return written;
}

/** A body that is copied as it is read. What is not read to its end, from its beginning, is not stored. */
class CopiedBody implements OpenBody {
  readonly #body: OpenBody;
  readonly #writer: StoreWriter;

  constructor(body: OpenBody, writer: StoreWriter) {
    this.#body = body;
    this.#writer = writer;
  }

  start(sink: BodySink, from: number, to: number): void {
    const writer = this.#writer;
    const copying: BodySink = {
      chunk: (chunk) => {
        writer.write(chunk);
        return sink.chunk(chunk);
      },
      end: () => {
        // The writer knows how long it has to be.
        writer.commit();
        sink.end();
      },
      failed: (by) => {
        writer.abort();
        sink.failed(by);
      },
    };
    this.#body.start(copying, from, to);
  }

  resume(): void {
    this.#body.resume();
  }

  close(): void {
    this.#body.close();
    this.#writer.abort();
  }
}
