// A body that is kept in slices, as one that can be read: slice after slice, from memory, from disk, or, where one is missing, from an
// origin, which it then brings to the store as well; unless another does, for whom it waits. The next is looked for when the client has
// taken the last, so what is held for one client is a slice, and what the sockets hold.
import type { BodySink, OpenBody } from '../../decide/cache/body-source.ts';
import { afterFailure } from '../../decide/cache/fills.ts';
import type { Part } from '../../decide/cache/ranges.ts';
import { MAX_RUN, missingPart, sliceAt } from '../../decide/cache/slices.ts';
import { type FailureCode, failure } from '../../decide/errors.ts';
import type { Exchange } from '../exchange.ts';
import type { FillTable } from '../fill-table.ts';
import { type Flight, type Landing, OVER } from './flights.ts';
import type { Incoming } from './incoming.ts';
import { PartFetch, type PartOutcome } from './part-fetch.ts';
import type { FoundSlice, SliceIndex } from './slice-index.ts';

/** Times that a fetch may bring nothing before the answer is broken off. */
const MAX_BARREN = 2;
/** Times that it waits for one slice before it asks for that itself. */
const MAX_WAITS = 3;

export class SliceReader implements OpenBody {
  readonly #x: Exchange;
  readonly #fills: FillTable;
  readonly #index: SliceIndex;
  #sink: BodySink | undefined;
  #at = 0;
  #to = 0;
  #open = true;
  /** Something is on its way: a slice from disk, a body, an answer of an origin. */
  #busy = false;
  /** The client can take no more for now. */
  #full = false;
  #pumping = false;
  /** What gives bytes at present. */
  #current: OpenBody | undefined;
  /** Found, but not begun with. */
  #ready: { readonly index: number; readonly slice: FoundSlice } | undefined;
  /** What it has asked for, as long as more than the client had of that may come. */
  #own: Incoming | undefined;
  #fetch: PartFetch | undefined;
  /** For a slice that another brings. */
  #wait: { cancel(): void } | undefined;
  /** Slice that it has waited for, and how often in a row. */
  #waitedFor = -1;
  #waits = 0;
  /** Slices missing in a row. */
  #misses = 0;
  /** In front of this they are there only because somebody has just asked for them. */
  #asked = 0;
  /** Where the last fetch began, and how many in a row began there. */
  #fetchedAt = -1;
  #barren = 0;

  constructor(x: Exchange, fills: FillTable, index: SliceIndex) {
    this.#x = x;
    this.#fills = fills;
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

  /**
   * Waits for slice `index`, which another is to bring: until `until`, as of `Flights.wait`. `done` is called once and later: with what
   * is stored if `start` will use that, with the failure only if it is not worth while to try again. False: it does not wait.
   */
  waitFor(index: number, done: (landing: Landing) => void, until?: number): boolean {
    this.#waits = this.#waitedFor === index ? this.#waits + 1 : 1;
    this.#waitedFor = index;
    if (this.#waits > MAX_WAITS) return false;
    const landed = (landing: Landing): void => {
      this.#wait = undefined;
      const again = landing.kind === 'failed' && afterFailure(this.#waits) === 'again';
      const slice = landing.kind === 'stored' ? this.#index.take(landing.entry, index) : undefined;
      if (slice !== undefined) this.#ready = { index, slice };
      done(again || (landing.kind === 'stored' && slice === undefined) ? OVER : landing);
    };
    this.#wait = this.#fills.flights.wait(this.#index.keyOf(index), landed, until);
    if (this.#wait === undefined) return false;
    this.#noteAsked(sliceAt(this.#index.sliced, index));
    return true;
  }

  /** `incoming` is on its way already. */
  adopt(incoming: Incoming): void {
    this.#own = incoming;
    this.#noteAsked(incoming.part);
  }

  /** May be called again when the sink was told that it ended. */
  start(sink: BodySink, from: number, to: number): void {
    this.#sink = sink;
    this.#at = from;
    this.#to = to;
    this.#pump();
  }

  resume(): void {
    this.#full = false;
    this.#current?.resume();
    this.#pump();
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#current?.close();
    this.#wait?.cancel();
    this.#fetch?.close();
    this.#own?.close();
    release(this.#ready?.slice);
  }

  /** A loop, since slices in memory follow each other without a pause. */
  #pump(): void {
    if (this.#pumping) return;
    this.#pumping = true;
    while (this.#open && this.#sink && !this.#busy && !this.#full) {
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
    const own = this.#own;
    if (own?.brings(at)) {
      this.#run(own, at, Math.min(this.#to, own.part.to));
      return;
    }
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
      else if (slice === undefined) this.#miss(index);
      else this.#use(index, slice);
      this.#pump();
    });
  }

  #use(index: number, slice: FoundSlice): void {
    if (this.#at >= this.#asked) this.#misses = 0;
    const { from, to: end } = sliceAt(this.#index.sliced, index);
    const to = Math.min(this.#to, end);
    if (!Buffer.isBuffer(slice)) {
      this.#run(slice, this.#at, to, from);
      return;
    }
    const piece = slice.subarray(this.#at - from, to - from);
    this.#at = to;
    this.#full = this.#sink?.chunk(piece) === false;
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
        if (!more) this.#full = true;
        return more;
      },
      end: () => {
        over();
        // It brings the rest of the last slice to the store, whatever this client does.
        if (this.#at >= to) this.#own = undefined;
        this.#pump();
      },
      // What came was right: the rest is asked for.
      failed: () => {
        over();
        if (this.#open) this.#miss(this.#sliceOf(this.#at));
        this.#pump();
      },
    };
    body.start(sink, from - base, to - base);
  }

  /** Slice `index` was not there. `alone`: it is to be asked for, whoever else does. To be followed by `#pump`. */
  #miss(index: number, alone = false): void {
    if (!this.#index.kept) {
      this.#break('origin-cut-off', 'what is not kept broke off');
      return;
    }
    const { sliced, entry } = this.#index;
    const part = missingPart(sliced, index, this.#to, this.#misses);
    const flight = alone ? undefined : this.#fills.flights.begin(entry.key, sliced, part);
    if (flight !== undefined && this.#index.isThereNow(index)) {
      flight.end(OVER);
      return;
    }
    this.#busy = true;
    const waits = !alone && flight === undefined && this.waitFor(index, (landing) => this.#onLanding(index, landing));
    if (!waits) this.#ask(flight ? { ...part, to: Math.min(part.to, flight.reach) } : part, flight);
  }

  #onLanding(index: number, landing: Landing): void {
    this.#busy = false;
    if (landing.kind === 'alone') this.#miss(index, true);
    else if (landing.kind === 'failed' || landing.kind === 'changed') this.#fail(landing);
    this.#pump();
  }

  /** Asks an origin for slices that are missing. */
  #ask(part: Part, flight: Flight | undefined): void {
    this.#barren = this.#fetchedAt === this.#at ? this.#barren + 1 : 0;
    this.#fetchedAt = this.#at;
    if (this.#barren >= MAX_BARREN) {
      this.#break('origin-cut-off', 'the part broke off again and again');
      flight?.end(OVER);
      return;
    }
    const take = (outcome: PartOutcome): void => this.#take(outcome);
    this.#fetch = new PartFetch(this.#x, this.#fills.ports, this.#index, part, flight, take);
    this.#fetch.send();
  }

  #take(outcome: PartOutcome): void {
    this.#fetch = undefined;
    if (outcome.kind !== 'part') {
      this.#fail(outcome);
      return;
    }
    const { incoming } = outcome;
    if (!this.#open) {
      incoming.close();
      return;
    }
    this.adopt(incoming);
    this.#run(incoming, this.#at, Math.min(this.#to, incoming.part.to));
  }

  #fail(outcome: Extract<Landing, { kind: 'failed' | 'changed' }>): void {
    if (!this.#open) return;
    if (outcome.kind === 'failed') this.#break(outcome.failure.code, outcome.failure.detail);
    else {
      this.#index.drop();
      this.#break('origin-malformed', `it changed in the middle of an answer: ${outcome.detail}`);
    }
  }

  #break(code: FailureCode, detail: string): void {
    const sink = this.#sink;
    this.#sink = undefined;
    this.#x.failure = failure(code, detail);
    this.#fills.ports.log.warn({ origin: this.#x.origin?.name, detail }, 'an answer in slices was broken off');
    this.close();
    sink?.failed('origin-failed');
  }

  #noteAsked({ from, to }: Part): void {
    this.#misses += 1;
    this.#asked = Math.min(to, from + MAX_RUN * this.#index.sliced.bytes);
  }

  #sliceOf(at: number): number {
    return Math.floor(at / this.#index.sliced.bytes);
  }
}

function release(slice: FoundSlice | undefined): void {
  if (slice !== undefined && !Buffer.isBuffer(slice)) slice.close();
}
