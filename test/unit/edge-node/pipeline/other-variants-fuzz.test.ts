// Seeded fuzz of variants that are asked about together: languages whose texts change and are at times the same, an origin that takes
// its time, ignores conditions, leaves tags out or names wrong ones, purges. Whatever a client gets was
// the text of its language within the lifetime of an answer, and after the last purge.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Random, seededRandom } from '../../../../infra/runtime/random.ts';
import type { FakeCall, FakeClient } from '../../../support/fake-ports.ts';
import { World } from '../../../support/pipeline.ts';
import { below, pick } from '../cache/support.ts';

const ROUNDS = 60;
const STEPS = 120;
const LANGUAGES = Array.from('abcdefghijklmnopqrstuvwx');
const LIFETIME_MS = 10_000;
const HEAD = ['cache-control', 'max-age=10, must-revalidate', 'vary', 'accept-language'];

/** What the text of a language was, from one moment to another; moments count the steps. */
interface Reign {
  readonly language: string;
  readonly text: string;
  readonly fromMs: number;
  until: number;
  untilMs: number;
}

interface Asked {
  readonly client: FakeClient;
  readonly language: string;
  readonly has: string | undefined;
  readonly startedMs: number;
  /** The moment of the last purge before it. */
  readonly purged: number;
}

class Fuzz {
  readonly #random: Random;
  readonly #world = new World();
  readonly #reigns: Reign[] = [];
  readonly #current = new Map<string, Reign>();
  readonly #asked: Asked[] = [];
  readonly #open: FakeCall[] = [];
  #taken = 0;
  #texts = 0;
  #moment = 0;
  #purged = 0;
  revalidated = 0;

  constructor(random: Random) {
    this.#random = random;
    for (const language of LANGUAGES) this.#change(language);
  }

  run(): void {
    for (this.#moment = 1; this.#moment <= STEPS; this.#moment += 1) this.#step();
    while (this.#calls().length > 0) this.#answer();
    for (const asked of this.#asked) this.#check(asked);
    this.#world.verify();
    this.revalidated = this.#world.settled.filter(
      ({ exchange }) => exchange.cacheStatus?.includes('fwd=vary-miss; fwd-status=304') === true,
    ).length;
  }

  #step(): void {
    const random = this.#random;
    const what = below(random, 40);
    if (what < 18) this.#request();
    else if (what < 34) this.#answer();
    else if (what < 36) this.#change(pick(random, LANGUAGES));
    else if (what < 39) this.#world.clock.advance(below(random, 4000));
    else {
      this.#world.purge();
      this.#purged = this.#moment;
    }
  }

  #change(language: string): void {
    const { clock } = this.#world;
    const former = this.#current.get(language);
    if (former) Object.assign(former, { until: this.#moment, untilMs: clock.now() });
    const others = [...this.#current.values()].map(({ text }) => text);
    this.#texts += 1;
    const text = others.length > 0 && this.#random.next() < 0.7 ? pick(this.#random, others) : `text-${this.#texts}`;
    const reign = { language, text, fromMs: clock.now(), until: Infinity, untilMs: Infinity };
    this.#current.set(language, reign);
    this.#reigns.push(reign);
  }

  #request(): void {
    const random = this.#random;
    const language = pick(random, LANGUAGES);
    const has = below(random, 4) === 0 ? `text-${1 + below(random, this.#texts)}` : undefined;
    const fields = ['accept-language', language, ...(has === undefined ? [] : ['if-none-match', `"${has}"`])];
    if (below(random, 10) === 0) fields.push('cache-control', 'no-cache');
    const method = below(random, 20) === 0 ? 'HEAD' : 'GET';
    const startedMs = this.#world.clock.now();
    this.#asked.push({
      client: this.#world.request({ method, fields }),
      language,
      has,
      startedMs,
      purged: this.#purged,
    });
  }

  /** Calls that wait for an answer. */
  #calls(): FakeCall[] {
    const { calls } = this.#world;
    this.#open.push(...calls.slice(this.#taken));
    this.#taken = calls.length;
    return this.#open;
  }

  #answer(): void {
    const random = this.#random;
    const open = this.#calls();
    if (open.length === 0) return;
    const [call] = open.splice(below(random, open.length), 1);
    assert.ok(call);
    const { text } = this.#current.get(call.field('accept-language') ?? '') ?? { text: '' };
    const tags = call.field('if-none-match')?.split(', ') ?? [];
    const behaviour = below(random, 20);
    if (behaviour === 0) call.fail('connect');
    else if (behaviour === 1) call.answer(503, 'sorry', []);
    else if (behaviour === 2 && tags.length > 0) call.head(304, [...HEAD, 'etag', '"none"']);
    else if (behaviour > 4 && tags.includes(`"${text}"`)) {
      call.head(304, behaviour === 5 ? HEAD : [...HEAD, 'etag', `"${text}"`]).end();
    } else if (call.request.method === 'HEAD') call.head(200, [...HEAD, 'etag', `"${text}"`]).end();
    else call.answer(200, text, [...HEAD, 'etag', `"${text}"`]);
  }

  #check({ client, language, has, startedMs, purged }: Asked): void {
    if (client.status >= 500) return;
    const text = client.status === 304 ? has : client.text;
    if (client.request.method === 'HEAD') return;
    const was = this.#reigns.some(
      (reign) =>
        reign.language === language &&
        reign.text === text &&
        reign.until >= purged &&
        reign.untilMs >= startedMs - LIFETIME_MS,
    );
    assert.ok(was, `${language} got ${client.status} ${JSON.stringify(text)}: ${client.cache}`);
  }
}

test('whatever the order of answers, changes and purges, each gets a text of its language', () => {
  const random = seededRandom(9111);
  let revalidated = 0;
  for (let round = 0; round < ROUNDS; round += 1) {
    const fuzz = new Fuzz(random);
    fuzz.run();
    revalidated += fuzz.revalidated;
  }
  assert.ok(revalidated > ROUNDS, `only ${revalidated} variants were found by their tags`);
});
