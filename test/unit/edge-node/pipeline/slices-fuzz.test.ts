// Seeded fuzz of slices: objects, slices and ranges of any size, an origin that changes, fails and dribbles, a cache that forgets. Every
// answer is compared, byte for byte, with the plain object.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseRange } from '../../../../edge-node/decide/cache/ranges.ts';
import { field } from '../../../../edge-node/decide/fields.ts';
import type { Random } from '../../../../infra/runtime/random.ts';
import { seededRandom } from '../../../../infra/runtime/random.ts';
import type { FakeCall, FakeClient } from '../../../support/fake-ports.ts';
import { demoSnapshot, World } from '../../../support/pipeline.ts';
import { type RangeObject, rangeAnswer } from '../../../support/range-origin.ts';
import { KEY } from '../../../support/slices.ts';

const ROUNDS = 150;
const REQUESTS = 25;
const LETTERS = 'abcdefghijklmnopqrstuvwxyz';

const below = (random: Random, limit: number): number => Math.floor(random.next() * limit);

class Fuzz {
  readonly #random: Random;
  readonly #world: World;
  readonly #sliceBytes: number;
  readonly #versions = new Map<string, RangeObject>();
  #object: RangeObject;
  #changed = false;
  #failures = 0;

  constructor(random: Random) {
    this.#random = random;
    this.#sliceBytes = 1 + below(random, 12);
    // Room for a handful of slices, or for all.
    const maxBytes = 20_000 + below(random, 3) * 40_000;
    const snapshot = demoSnapshot(1, { sliceBytes: this.#sliceBytes });
    this.#world = new World({ snapshot, cacheLimits: { maxBytes, maxObjectBytes: 1 + below(random, 120) } });
    this.#object = this.#change();
  }

  run(): void {
    for (let i = 0; i < REQUESTS; i += 1) this.#request();
    this.#world.verify();
  }

  #change(): RangeObject {
    const etag = `"v${this.#versions.size}"`;
    const letter = LETTERS[this.#versions.size % LETTERS.length] ?? '';
    const body = Array.from({ length: 1 + below(this.#random, 100) }, (_, i) => (i % 7 === 0 ? letter : i % 10)).join(
      '',
    );
    const object = { body, etag };
    this.#versions.set(etag, object);
    this.#changed = true;
    return object;
  }

  #request(): void {
    const random = this.#random;
    const world = this.#world;
    this.#changed = false;
    this.#failures = 0;
    const range = this.#range();
    const fields = range === undefined ? [] : ['range', range];
    if (below(random, 8) === 0) fields.push('if-range', `"v${below(random, this.#versions.size)}"`);
    const client = world.request({ fields, method: below(random, 12) === 0 ? 'HEAD' : 'GET' });
    client.slow = below(random, 3) === 0;
    for (let steps = 0; client.state === 'open' && steps < 1000; steps += 1) this.#step(client);
    this.#settle();
    this.#check(client, fields);
    this.#between();
  }

  #range(): string | undefined {
    const random = this.#random;
    const one = (): string => {
      const [a, b] = [below(random, 110), below(random, 110)];
      return [`${Math.min(a, b)}-${Math.max(a, b)}`, `${a}-`, `-${a}`][below(random, 3)] ?? '';
    };
    const count = [0, 1, 1, 1, 1, 2, 3][below(random, 7)] ?? 0;
    return count === 0 ? undefined : `bytes=${Array.from({ length: count }, one).join(',')}`;
  }

  /** Something happens: to the last call that an origin has, or to the client. */
  #step(client: FakeClient): void {
    const random = this.#random;
    if (client.slow && below(random, 2) === 0) {
      client.drain();
      client.slow = below(random, 3) === 0;
      return;
    }
    const call = this.#world.calls.findLast(({ aborted }) => !aborted);
    if (call === undefined || this.#isOver(call) || call.paused) {
      client.drain();
      return;
    }
    if (below(random, 60) === 0) this.#object = this.#change();
    if (this.#failures < 2 && below(random, 25) === 0) {
      this.#failures += 1;
      const begun = this.#sent.has(call);
      this.#sent.set(call, Number.POSITIVE_INFINITY);
      call.fail(begun ? 'body' : 'connect', begun ? 'origin-cut-off' : 'origin-unreachable');
    } else this.#send(call);
  }

  /** Of each answer that has begun, what was sent and what there is to send. */
  readonly #sent = new Map<FakeCall, number>();
  readonly #answers = new Map<FakeCall, string>();

  #isOver(call: FakeCall): boolean {
    return (this.#sent.get(call) ?? 0) === Number.POSITIVE_INFINITY;
  }

  #send(call: FakeCall): void {
    const at = this.#sent.get(call);
    if (at === undefined) {
      const { status, fields, body } = rangeAnswer(this.#object, call.request.fields, call.request.method);
      this.#answers.set(call, call.request.method === 'HEAD' ? '' : body);
      this.#sent.set(call, 0);
      call.head(status, fields);
      return;
    }
    const body = this.#answers.get(call) ?? '';
    if (at >= body.length) {
      this.#sent.set(call, Number.POSITIVE_INFINITY);
      call.end();
      return;
    }
    const next = at + 1 + below(this.#random, 30);
    this.#sent.set(call, next);
    call.data(body.slice(at, next));
  }

  /** What still flows to the cache behind the client ends. */
  #settle(): void {
    for (const call of this.#world.calls) {
      for (let left = 200; left > 0 && !call.aborted && !this.#isOver(call); left -= 1) this.#send(call);
    }
  }

  #check(client: FakeClient, fields: readonly string[]): void {
    const context = `${client.request.method} ${fields.join(' ')}: ${client.status} ${client.cache}`;
    assert.notEqual(client.state, 'open', context);
    if (client.state === 'aborted') {
      // What was sent cannot be taken back: broken off only for a reason.
      const isOld = client.field('etag') !== this.#object.etag;
      assert.ok(isOld || this.#changed || this.#failures > 0, context);
      return;
    }
    if (client.status >= 500) return;
    const object = this.#versions.get(client.field('etag') ?? '');
    const head = client.request.method === 'HEAD';
    if (client.status === 416) {
      const length = Number(/^bytes \*\/(\d+)$/.exec(client.field('content-range') ?? '')?.[1]);
      assert.equal(parseRange(field(fields, 'range') ?? '', length).kind, 'unsatisfiable', context);
      return;
    }
    assert.ok(object, context);
    const { body } = object;
    if (client.status === 200) {
      assert.equal(client.text, head ? '' : body, context);
      return;
    }
    assert.equal(client.status, 206, context);
    assert.equal(client.text.length, client.length, context);
    const wanted = parseRange(field(fields, 'range') ?? '', body.length);
    assert.ok(wanted.kind === 'parts', context);
    const ifRange = field(fields, 'if-range');
    assert.ok(ifRange === undefined || ifRange === object.etag, context);
    const range = client.field('content-range');
    if (range !== undefined) {
      const [{ from, to }] = wanted.parts;
      assert.equal(range, `bytes ${from}-${to - 1}/${body.length}`, context);
      assert.equal(client.text, body.slice(from, to), context);
      return;
    }
    const parts = [...client.text.matchAll(/content-range: bytes (\d+)-(\d+)\/(\d+)\r\n\r\n([^\r]*)\r\n/g)];
    assert.equal(parts.length, wanted.parts.length, context);
    wanted.parts.forEach(({ from, to }, i) => {
      assert.deepEqual(parts[i]?.slice(1), [from, to - 1, body.length, body.slice(from, to)].map(String), context);
    });
  }

  #between(): void {
    const random = this.#random;
    const { cache, clock } = this.#world;
    switch (below(random, 12)) {
      case 0:
        this.#object = this.#change();
        break;
      case 1:
        clock.advance(61_000);
        break;
      case 2:
        this.#world.purge(undefined, below(random, 2) === 0);
        break;
      case 3:
      case 4: {
        const generation = cache.find(KEY)[0]?.head.slices?.generation;
        if (generation !== undefined) cache.remove(`${KEY}#${generation}/${below(random, 10)}`);
        break;
      }
      case 5:
        cache.remove(KEY);
        break;
      default:
    }
  }
}

test('seeded fuzz: every answer is the object, byte for byte, and never two versions of it', () => {
  for (let round = 0; round < ROUNDS; round += 1) {
    try {
      new Fuzz(seededRandom(round)).run();
    } catch (error) {
      throw new Error(`round ${round}`, { cause: error });
    }
  }
});
