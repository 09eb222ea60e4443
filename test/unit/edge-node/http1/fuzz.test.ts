// Whatever Meridian's parser accepts, Node's accepts in its strict mode and reads the same; and no octets make it throw.
//
// HTTP1_FUZZ_BYTES=1e9 makes the long run of it, HTTP1_FUZZ_SEED another one.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom } from '../../../../infra/runtime/random.ts';
import { RequestGenerator } from './generate.ts';
import { type Message, NodeReader, readOurs } from './readers.ts';

const BYTES = Number(process.env.HTTP1_FUZZ_BYTES ?? 1_500_000);
const SEED = Number(process.env.HTTP1_FUZZ_SEED ?? 1);
const AT_ONCE = 32;

test('what is accepted is what Node reads too', async () => {
  const generator = new RequestGenerator(seededRandom(SEED));
  const node = new NodeReader();
  const counts = { connections: 0, ours: 0, theirs: 0, refused: 0 };
  for (let bytes = 0; bytes < BYTES; ) {
    const batch = Array.from({ length: AT_ONCE }, () => generator.connection());
    const readings = await Promise.all(batch.map((octets) => node.read(octets)));
    for (const [i, octets] of batch.entries()) {
      bytes += octets.length;
      counts.connections += 1;
      compare(octets, readings[i] ?? [], counts);
    }
  }
  if (process.env.HTTP1_FUZZ_BYTES !== undefined) console.log(counts);
  // The comparison would be empty if the generator made nothing acceptable, or nothing but that.
  assert.ok(counts.ours > counts.connections / 2, JSON.stringify(counts));
  assert.ok(counts.refused > counts.connections / 5, JSON.stringify(counts));
});

function compare(
  octets: Buffer,
  theirs: readonly Message[],
  counts: { ours: number; theirs: number; refused: number },
): void {
  const ours = readOurs(octets);
  counts.ours += ours.messages.length;
  counts.theirs += theirs.length;
  if (ours.end === 'refused') counts.refused += 1;
  const shown = () =>
    `${JSON.stringify(octets.toString('latin1'))}\nours ${JSON.stringify(ours)}\nNode ${JSON.stringify(theirs)}`;
  for (const [i, message] of ours.messages.entries()) {
    const their = theirs[i];
    // Of a message that was refused within its body, Node may have read more.
    const { body, complete } = ours.end === 'refused' && !message.complete && their ? their : message;
    assert.deepEqual(their, { ...message, body, complete }, shown());
  }
  // Behind a refusal and behind a message that ends the requests nothing is read.
  if (ours.end === 'incomplete' || ours.end === 'exhausted') assert.equal(theirs.length, ours.messages.length, shown());
}

test('octets without meaning are refused or incomplete', () => {
  const generator = new RequestGenerator(seededRandom(SEED));
  for (let bytes = 0; bytes < BYTES * 2; ) {
    const octets = generator.noise(400);
    bytes += octets.length + 1;
    const { end } = readOurs(octets);
    assert.ok(end === 'refused' || octets.length === 0 || end === 'incomplete');
  }
});
