// What the pipeline sees of a disk behind the cache: it answers when the test says so.
import assert from 'node:assert/strict';
import type { BodySink, BodySource, OpenBody } from '../../edge-node/decide/cache/body-source.ts';
import type { CacheEntry, CacheStore } from '../../edge-node/decide/cache/entry.ts';

/** A body on disk, which comes in pieces of four bytes, one for each `step`. */
export class FakeBody implements BodySource, OpenBody {
  readonly #text: string;
  #sink: BodySink | undefined;
  #at = 0;
  #to = 0;
  #more = false;
  /** It was thrown out since it was found. */
  gone = false;
  state: 'closed' | 'open' | 'reading' | 'waiting' = 'closed';

  constructor(text: string) {
    this.#text = text;
  }

  get length(): number {
    return this.#text.length;
  }

  open(): OpenBody | undefined {
    if (this.gone) return undefined;
    assert.equal(this.state, 'closed');
    this.state = 'open';
    return this;
  }

  start(sink: BodySink, from: number, to: number, more = false): void {
    assert.notEqual(this.state, 'closed');
    this.#sink = sink;
    this.#at = from;
    this.#to = to;
    this.#more = more;
    this.state = 'reading';
  }

  resume(): void {
    if (this.state === 'waiting') this.state = 'reading';
  }

  close(): void {
    this.state = 'closed';
  }

  step(): void {
    assert.equal(this.state, 'reading');
    const end = Math.min(this.#to, this.#at + 4);
    const chunk = Buffer.from(this.#text.slice(this.#at, end));
    this.#at = end;
    if (this.#sink?.chunk(chunk) === false) this.state = 'waiting';
    if (this.#at < this.#to) return;
    this.state = this.#more ? 'open' : 'closed';
    this.#sink?.end();
  }

  fail(): void {
    this.state = 'closed';
    this.#sink?.failed();
  }
}

export class FakeDisk {
  readonly #entries = new Map<string, CacheEntry[]>();
  readonly #asked: (() => void)[] = [];

  /** Stands behind `cache` from now on. */
  constructor(cache: CacheStore) {
    Object.assign(cache, {
      findStored: (key: string, done: (found: readonly CacheEntry[]) => void): boolean => {
        const found = this.#entries.get(key);
        if (found !== undefined) this.#asked.push(() => done(found));
        return found !== undefined;
      },
    });
  }

  /** Moves what is in memory to the disk. `body`: to be read piece by piece. */
  take(cache: CacheStore, key: string, body?: FakeBody): void {
    const found = cache.find(key).map(({ host, purgeTarget, head, body: whole, size }) => {
      const entry = { key, host, purgeTarget, head, size, prepared: undefined, askedAt: -1 };
      return body ? { ...entry, body: Buffer.alloc(0), source: body } : { ...entry, body: whole };
    });
    assert.ok(found.length > 0);
    this.#entries.set(key, found);
    cache.remove(key);
  }

  /** What is there turns out to be nothing. */
  lose(key: string): void {
    this.#entries.set(key, []);
  }

  /** Gives all answers that are waited for; how many. */
  answer(): number {
    const asked = this.#asked.splice(0);
    for (const done of asked) done();
    return asked.length;
  }
}
