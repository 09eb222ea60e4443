// A body that is kept in slices, as one that can be read: slice after slice, from memory, from disk, or, where one is missing, from an
// origin, which it then brings to the store as well. The next is looked for when the client has taken the last, so what is held for
// one client is a slice, and what the sockets hold.
import type { BodySink, OpenBody } from '../../decide/cache/body-source.ts';
import { missingPart, sliceAt } from '../../decide/cache/slices.ts';
import { type FailureCode, failure } from '../../decide/errors.ts';
import type { Ports } from '../../ports.ts';
import type { Exchange } from '../exchange.ts';
import type { Incoming } from './incoming.ts';
import { PartFetch, type PartOutcome } from './part-fetch.ts';
import type { FoundSlice, SliceIndex } from './slice-index.ts';

/** Times that a fetch may bring nothing before the answer is broken off. */
const MAX_BARREN = 2;

export class SliceReader implements OpenBody {
  readonly #x: Exchange;
  readonly #ports: Ports;
  readonly #index: SliceIndex;
  #sink: BodySink | undefined;
  #at = 0;
  #to = 0;
  #open = true;
  /** Something is on its way: a slice from disk, a body, an answer of an origin. */
  #busy = false;
  #waits = false;
  #pumping = false;
  /** What gives bytes at present. */
  #current: OpenBody | undefined;
  /** Found, but not begun with. */
  #ready: { readonly index: number; readonly slice: FoundSlice } | undefined;
  #arriving: Incoming | undefined;
  #fetch: PartFetch | undefined;
  /** Slices missing in a row. */
  #misses = 0;
  /** Where the last fetch began, and how many in a row began there. */
  #fetchedAt = -1;
  #barren = 0;

  constructor(x: Exchange, ports: Ports, index: SliceIndex) {
    this.#x = x;
    this.#ports = ports;
    this.#index = index;
  }

  /** Looks for slices; the last is kept for `start`. `done` as of `SliceIndex.find`: whether they are all there. */
  seek([index = 0, ...others]: readonly number[], done: (there: boolean) => void): void {
    this.#index.find(index, (slice) => {
      if (!this.#open || others.length > 0) release(slice);
      else if (slice !== undefined) this.#ready = { index, slice };
      if (!this.#open) return;
      if (slice !== undefined && others.length > 0) this.seek(others, done);
      else done(slice !== undefined);
    });
  }

  /** `incoming` is on its way already. */
  adopt(incoming: Incoming): void {
    this.#arriving = incoming;
  }

  /** May be called again when the sink was told that it ended. */
  start(sink: BodySink, from: number, to: number): void {
    this.#sink = sink;
    this.#at = from;
    this.#to = to;
    this.#pump();
  }

  resume(): void {
    this.#waits = false;
    this.#current?.resume();
    this.#pump();
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#current?.close();
    this.#fetch?.close();
    this.#arriving?.close();
    release(this.#ready?.slice);
  }

  /** A loop, since slices in memory follow each other without a pause. */
  #pump(): void {
    if (this.#pumping) return;
    this.#pumping = true;
    while (this.#open && this.#sink && !this.#busy && !this.#waits) {
      if (this.#at >= this.#to) this.#end(this.#sink);
      else this.#next();
    }
    this.#pumping = false;
  }

  #end(sink: BodySink): void {
    this.#sink = undefined;
    sink.end();
  }

  #next(): void {
    const at = this.#at;
    const arriving = this.#arriving;
    this.#arriving = undefined;
    if (arriving !== undefined && arriving.part.from <= at && at < arriving.part.to) {
      this.#misses += 1;
      this.#run(arriving, at, Math.min(this.#to, arriving.part.to));
      return;
    }
    arriving?.close();
    const index = this.#sliceOf(at);
    const ready = this.#ready;
    this.#ready = undefined;
    if (ready?.index === index) {
      this.#use(index, ready.slice);
      return;
    }
    release(ready?.slice);
    this.#busy = true;
    this.#index.find(index, (slice) => {
      this.#busy = false;
      if (!this.#open) release(slice);
      else if (slice === undefined) this.#ask(index);
      else this.#use(index, slice);
      this.#pump();
    });
  }

  #use(index: number, slice: FoundSlice): void {
    this.#misses = 0;
    const { from, to: end } = sliceAt(this.#index.sliced, index);
    const to = Math.min(this.#to, end);
    if (!Buffer.isBuffer(slice)) {
      this.#run(slice, this.#at, to, from);
      return;
    }
    const piece = slice.subarray(this.#at - from, to - from);
    this.#at = to;
    this.#waits = this.#sink?.chunk(piece) === false;
  }

  /** Bytes `from` ..< `to` come from `body`, which begins at `base`. */
  #run(body: OpenBody, from: number, to: number, base = 0): void {
    this.#busy = true;
    this.#current = body;
    const over = (): void => {
      this.#current = undefined;
      this.#busy = false;
    };
    const sink: BodySink = {
      chunk: (chunk) => {
        this.#at += chunk.length;
        const more = this.#sink?.chunk(chunk) !== false;
        if (!more) this.#waits = true;
        return more;
      },
      end: () => {
        over();
        this.#pump();
      },
      // What came was right: the rest is asked for.
      failed: () => {
        over();
        if (this.#open) this.#ask(this.#sliceOf(this.#at));
        this.#pump();
      },
    };
    body.start(sink, from - base, to - base);
  }

  /** Asks an origin for slice `index`, and for some that follow it. */
  #ask(index: number): void {
    if (!this.#index.kept) {
      this.#break('origin-cut-off', 'what is not kept broke off');
      return;
    }
    this.#barren = this.#fetchedAt === this.#at ? this.#barren + 1 : 0;
    this.#fetchedAt = this.#at;
    if (this.#barren >= MAX_BARREN) {
      this.#break('origin-cut-off', 'the part broke off again and again');
      return;
    }
    const part = missingPart(this.#index.sliced, index, this.#to, this.#misses);
    this.#busy = true;
    this.#fetch = new PartFetch(this.#x, this.#ports, this.#index, part, (outcome) => this.#take(outcome));
    this.#fetch.send();
  }

  #take(outcome: PartOutcome): void {
    if (!this.#open) return;
    if (outcome.kind === 'part') {
      const { incoming } = outcome;
      this.#fetch = undefined;
      this.#misses += 1;
      this.#run(incoming, this.#at, Math.min(this.#to, incoming.part.to));
    } else if (outcome.kind === 'failed') this.#break(outcome.failure.code, outcome.failure.detail);
    else {
      this.#index.drop();
      this.#break('origin-malformed', `it changed in the middle of an answer: ${outcome.detail}`);
    }
  }

  #break(code: FailureCode, detail: string): void {
    const sink = this.#sink;
    this.#sink = undefined;
    this.#x.failure = failure(code, detail);
    this.#ports.log.warn({ origin: this.#x.origin?.name, detail }, 'an answer in slices was broken off');
    this.close();
    sink?.failed('origin-failed');
  }

  #sliceOf(at: number): number {
    return Math.floor(at / this.#index.sliced.bytes);
  }
}

function release(slice: FoundSlice | undefined): void {
  if (slice !== undefined && !Buffer.isBuffer(slice)) slice.close();
}
