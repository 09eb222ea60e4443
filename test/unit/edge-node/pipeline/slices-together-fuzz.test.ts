// Seeded fuzz of slices that several ask for at the same time: clients of any pace that come, leave and are left alone, an origin that
// dribbles, fails and changes. Whoever gets an answer gets the object, byte for byte; nobody waits for nothing, and nothing is left behind.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseRange } from '../../../../edge-node/decide/cache/ranges.ts';
import { field } from '../../../../edge-node/decide/fields.ts';
import { type Random, seededRandom } from '../../../../infra/runtime/random.ts';
import type { FakeClient } from '../../../support/fake-ports.ts';
import { demoSnapshot, World } from '../../../support/pipeline.ts';
import { Dribble, type RangeObject } from '../../../support/range-origin.ts';
import { KEY } from '../../../support/slices.ts';

const ROUNDS = 300;
const STEPS = 300;
const MOST_CLIENTS = 8;

class Fuzz {
  readonly #random: Random;
  readonly #world: World;
  readonly #origin = new Dribble();
  readonly #versions = new Map<string, RangeObject>();
  readonly #open = new Set<FakeClient>();
  readonly #length: number;
  #object: RangeObject;
  /** Something has happened for which an answer may be broken off. */
  #troubled = false;

  constructor(random: Random) {
    this.#random = random;
    const sliceBytes = 1 + this.#below(12);
    this.#length = 1 + this.#below(150);
    const cacheLimits = { maxBytes: 20_000 + this.#below(2) * 80_000, maxObjectBytes: sliceBytes + this.#below(60) };
    this.#world = new World({ snapshot: demoSnapshot(1, { sliceBytes }), cacheLimits });
    this.#object = this.#change();
  }

  run(): void {
    for (let i = 0; i < STEPS; i += 1) this.#step();
    for (let i = 0; this.#open.size > 0; i += 1) {
      assert.ok(i < 3_000, `${this.#open.size} are kept waiting`);
      for (const client of this.#open) this.#drain(client);
      this.#send();
      this.#check();
    }
    this.#world.calls.forEach((call) => {
      while (this.#origin.isOpen(call)) this.#origin.step(call, this.#object, 50);
    });
    this.#world.verify();
  }

  #below(limit: number): number {
    return Math.floor(this.#random.next() * limit);
  }

  #change(): RangeObject {
    const version = String.fromCharCode(97 + (this.#versions.size % 26));
    const body = Array.from({ length: this.#length }, (_, i) => (i % 7 === 0 ? version : i % 10)).join('');
    const object = { body, etag: `"v${this.#versions.size}"` };
    this.#versions.set(object.etag, object);
    return object;
  }

  #step(): void {
    const [client] = [...this.#open].slice(this.#below(this.#open.size));
    const turn = this.#below(100);
    if (turn < 15) this.#come();
    else if (turn < 35 && client) this.#drain(client);
    else if (turn < 38 && client) this.#leave(client);
    else if (turn < 40) this.#disturb();
    else this.#send();
    this.#check();
  }

  #come(): void {
    if (this.#open.size >= MOST_CLIENTS) return;
    const [a, b] = [this.#below(this.#length), this.#below(this.#length)];
    const ranges = [
      undefined,
      'bytes=0-',
      `bytes=${a}-`,
      `bytes=-${a + 1}`,
      `bytes=${Math.min(a, b)}-${Math.max(a, b)}`,
    ];
    const range = ranges[this.#below(ranges.length)];
    const client = this.#world.request({ fields: range === undefined ? [] : ['range', range] });
    client.slow = this.#below(2) === 0;
    this.#open.add(client);
  }

  #drain(client: FakeClient): void {
    client.drain();
    client.slow = this.#below(3) === 0;
  }

  #leave(client: FakeClient): void {
    client.leave();
    client.abort();
    this.#open.delete(client);
  }

  #disturb(): void {
    const open = this.#world.calls.filter((call) => this.#origin.isOpen(call));
    const call = open[this.#below(open.length)];
    this.#troubled = true;
    switch (this.#below(5)) {
      case 0:
        if (call) this.#origin.fail(call);
        break;
      case 1:
        this.#object = this.#change();
        break;
      case 2:
        this.#world.clock.advance(61_000);
        break;
      case 3:
        this.#world.purge(undefined, this.#below(2) === 0);
        break;
      default:
        this.#world.cache.remove(KEY);
    }
  }

  #send(): void {
    const open = this.#world.calls.filter((call) => this.#origin.isOpen(call) && !call.paused);
    const call = open[this.#below(open.length)];
    if (call) this.#origin.step(call, this.#object, 1 + this.#below(30));
  }

  #check(): void {
    for (const client of this.#open) {
      if (client.state === 'open') continue;
      this.#open.delete(client);
      const range = field(client.request.fields, 'range');
      const context = `${range}: ${client.status} ${client.cache} ${client.text}`;
      if (client.state === 'aborted' || client.status >= 500) {
        assert.ok(this.#troubled, context);
        continue;
      }
      const body = this.#versions.get(client.field('etag') ?? '')?.body;
      assert.ok(body !== undefined, context);
      const decision = range === undefined || client.status === 200 ? undefined : parseRange(range, body.length);
      const { from, to } = decision?.kind === 'parts' ? decision.parts[0] : { from: 0, to: body.length };
      assert.equal(client.text, body.slice(from, to), context);
      assert.equal(client.status, decision === undefined ? 200 : 206, context);
    }
  }
}

test('seeded fuzz: whoever is answered gets the object, and nobody waits for nothing', () => {
  for (let round = 0; round < ROUNDS; round += 1) {
    try {
      new Fuzz(seededRandom(round)).run();
    } catch (error) {
      throw new Error(`round ${round}`, { cause: error });
    }
  }
});
