// An answer that is made from a part of a body, or from all of a large one, while that comes from an origin.
import type { CacheEntry, StoredHead, StoreWriter } from '../../decide/cache/entry.ts';
import { purgeName } from '../../decide/cache/key.ts';
import { isSameVersion, strongValidator } from '../../decide/cache/partial.ts';
import type { Part } from '../../decide/cache/ranges.ts';
import { bodyLength, offersParts } from '../../decide/cache/slices.ts';
import { withoutConsumed } from '../../decide/cache/tags.ts';
import { selectVariant } from '../../decide/cache/vary.ts';
import { withoutFields } from '../../decide/fields.ts';
import { type Exchange, isPurgedFor, type OriginAnswer, required, type Slicing } from '../exchange.ts';
import type { Engine } from '../run.ts';
import { wantedBy } from './first-slice.ts';
import type { Flight } from './flights.ts';
import { Incoming } from './incoming.ts';
import { SliceReader } from './reader.ts';
import { newGeneration, SliceIndex } from './slice-index.ts';

const NO_BODY = Buffer.alloc(0);

/** What comes goes to the client as far as it is wanted, and to the store as slices. */
export function answerInSlices(
  x: Exchange,
  engine: Engine,
  index: SliceIndex,
  part: Part,
  answer: OriginAnswer,
): 'respond' {
  const { entry, sliced, kept } = index;
  const begun = x.slicing.index === index ? x.slicing.flight : undefined;
  const flight = begun ?? (kept ? engine.fills.flights.begin(entry.key, sliced, part) : undefined);
  const writer = index.writer(part.from, x.barrier, answer, flight);
  return answerFrom(x, engine, index, part, writer, writer && 'slices', flight);
}

/** The same, but `writer` stores the whole, if any. */
export function answerFrom(
  x: Exchange,
  { fills }: Engine,
  index: SliceIndex,
  part: Part,
  writer: StoreWriter | undefined,
  shared: Slicing['shared'],
  flight?: Flight,
): 'respond' {
  const { call } = required(x.tee, 'tee');
  const incoming = new Incoming(call, x.client, part, writer && fills.guarded(x, writer), flight);
  const reader = new SliceReader(x, fills, index);
  reader.adopt(incoming);
  x.entry = index.entry;
  x.openBody = reader;
  x.slicing = { ...x.slicing, taker: incoming, shared };
  x.stored = writer !== undefined;
  x.tee = undefined;
  return 'respond';
}

/** What there is an index of already: others may have begun with it while `answer`, of `length` bytes in all, was on its way. */
export function knownIndex(
  x: Exchange,
  { ports }: Engine,
  answer: OriginAnswer,
  length: number,
): SliceIndex | undefined {
  const known = selectVariant(ports.cache.find(x.key), x.request.fields);
  if (known?.head.slices === undefined || !isOf(known, answer, length)) return undefined;
  return isPurgedFor(x, ports, known) ? undefined : new SliceIndex(x, ports, known, known.head, true);
}

export function isOf(entry: CacheEntry, answer: OriginAnswer, length: number): boolean {
  return bodyLength(entry) === length && isSameVersion(entry.head, answer.fields);
}

/**
 * What comes whole and is too large to be kept so is kept in slices. False: it is not to be, since parts of it could not be asked for.
 */
export function wholeInSlices(
  x: Exchange,
  engine: Engine,
  answer: OriginAnswer,
  head: StoredHead,
  length: number | undefined,
): boolean {
  const { ports } = engine;
  const bytes = required(x.route, 'route').cache.sliceBytes ?? 0;
  if (bytes === 0 || length === undefined || length <= bytes || head.status !== 200) return false;
  if (strongValidator(head) === undefined || !offersParts(head.fields)) return false;
  const slices = { bytes, length, generation: newGeneration(ports) };
  const wanted = wantedBy(x, head, slices);
  // Several ranges could be far from each other.
  if (wanted.kind === 'scattered' || (wanted.kind === 'parts' && wanted.parts.length > 1)) return false;
  const known = knownIndex(x, engine, answer, length);
  known?.join(answer, x.barrier);
  const kept = known?.kept ? undefined : ports.cache.put(entryOf(x, { ...head, slices }));
  const index = kept ? new SliceIndex(x, ports, kept, kept.head, true) : known;
  if (!index?.kept) return false;
  answerInSlices(x, engine, index, { from: 0, to: length }, answer);
  x.freshHead = { ...index.head, fields: passedOn(answer) };
  return true;
}

const STATED_ANEW: ReadonlySet<string> = new Set(['content-range', 'content-length', 'age']);

/** What is for the first client alone goes to it as well. */
export function passedOn({ fields }: OriginAnswer): string[] {
  return withoutFields(withoutConsumed(fields), STATED_ANEW);
}

export function entryOf(x: Exchange, head: StoredHead): CacheEntry {
  const { host } = required(x.admitted, 'admission');
  const purgeTarget = purgeName(host, x.target);
  return { key: x.key, host, purgeTarget, head, body: NO_BODY, size: 0, prepared: undefined, askedAt: -1 };
}
