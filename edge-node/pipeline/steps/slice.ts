// slice: what an answer is made from of which only a part is asked for, or kept. It begins when its first slice is at hand: that is
// looked for in memory and on disk, else an origin is asked, and what that sends is judged: a part of what is known, of a new
// version, of what is not to be kept, or the whole in spite of all. See decide/cache/slices.ts.
import type { CacheEntry, StoredHead, StoreWriter } from '../../decide/cache/entry.ts';
import { purgeName } from '../../decide/cache/key.ts';
import { isSameVersion, strongValidator, wholeFields } from '../../decide/cache/partial.ts';
import type { Part } from '../../decide/cache/ranges.ts';
import {
  type AskedPart,
  bodyLength,
  missingPart,
  readAsked,
  type Sliced,
  slicesOf,
  type Wanted,
  wantedOf,
} from '../../decide/cache/slices.ts';
import { withoutConsumed } from '../../decide/cache/tags.ts';
import { selectVariant } from '../../decide/cache/vary.ts';
import { failure } from '../../decide/errors.ts';
import { combinedField, withoutFields } from '../../decide/fields.ts';
import { responseFraming } from '../../decide/forward.ts';
import {
  type Exchange,
  finish,
  isPurgedFor,
  NOT_SLICED,
  type OriginAnswer,
  required,
  type Slicing,
} from '../exchange.ts';
import type { Engine, StepFunction } from '../run.ts';
import { Incoming } from '../slices/incoming.ts';
import { SliceReader } from '../slices/reader.ts';
import { newGeneration, SliceIndex } from '../slices/slice-index.ts';
import type { Next } from '../table.ts';
import { decideAnswer, headOf } from './cache.ts';

type NextStep = Next<'slice'>;
type UsablePart = Extract<AskedPart, { kind: 'part' }>;

const NO_BODY = Buffer.alloc(0);
/** Slices that are looked for in advance. */
const MAX_SOUGHT = 64;

export const slice: StepFunction<'slice'> = (x, engine) => {
  if (x.entry !== undefined) return lookForFirst(x, engine, x.entry);
  const answer = required(x.answer, 'answer');
  const { index, asked } = x.slicing;
  if (responseFraming(answer.received).kind === 'malformed') return 'store';
  if (answer.status === 200) return takeWhole(x, engine, answer);
  if (answer.status !== 206) {
    // What the index says is not so any more.
    index?.drop();
    if (answer.status === 404 || answer.status === 410) return 'store';
    if (index !== undefined) return askAgain(x, false);
    // The first of several ranges cannot be met: another may.
    return combinedField(x.request.fields, 'range')?.includes(',') ? askAgain(x, true) : 'store';
  }
  const reading = readAsked(answer.fields, required(asked, 'part that was asked for'));
  if (reading.kind === 'part') return takePart(x, engine, answer, reading);
  noteUnsliced(x, engine);
  return askAgain(x, true);
};

function lookForFirst(x: Exchange, engine: Engine, entry: CacheEntry): NextStep | 'wait' {
  const { ports } = engine;
  const index = new SliceIndex(x, ports, entry, x.freshHead ?? entry.head, true);
  const reader = new SliceReader(x, ports, index);
  x.openBody = reader;
  const wanted = wantedBy(x, index.head, index.sliced);
  if (wanted.kind === 'nothing') return 'respond';
  // Several ranges, each of which would cost a slice.
  if (wanted.kind === 'scattered') return leaveCache(x, { ...NOT_SLICED, asItIs: true });
  const { bytes } = index.sliced;
  const [{ from, to }] = wanted.parts;
  const first = Math.floor(from / bytes);
  const missing = missingPart(index.sliced, first, to, 0);
  // Who wants no origin to be asked wants to know before the answer begins.
  const needed = isOnlyIfCached(x) ? slicesOf(wanted.parts, bytes, MAX_SOUGHT) : [first];
  if (needed === undefined) return leaveCache(x, NOT_SLICED);
  let next: NextStep | 'wait' = 'wait';
  let waiting = false;
  reader.seek(needed, (there) => {
    next = there ? 'respond' : leaveCache(x, { ...NOT_SLICED, index, missing });
    if (!waiting) return;
    x.client.onGone = undefined;
    engine.resume(x, 'slice', next);
  });
  if (next !== 'wait') return next;
  waiting = true;
  x.client.onGone = () => {
    reader.close();
    finish(x, ports, 'client-gone', 0);
  };
  return 'wait';
}

function wantedBy(x: Exchange, head: StoredHead, sliced: Pick<Sliced, 'bytes' | 'length'>): Wanted {
  const asked = required(x.requestClass, 'class');
  if (asked.kind !== 'lookup') throw new Error('a request that bypasses the cache has no slices');
  return wantedOf(x.request, asked, head, sliced);
}

/** What is there does not make the answer: an origin is asked, unless none may be, or none is to be had. */
function leaveCache(x: Exchange, slicing: Slicing): NextStep {
  const onlyIfCached = isOnlyIfCached(x);
  const stale = x.outcome === 'stale';
  const unreachable = stale && x.stale !== undefined;
  const { entry } = x;
  forget(x);
  if (onlyIfCached || unreachable) {
    x.failure = failure(onlyIfCached ? 'not-cached' : 'origin-unreachable', 'slices of what is asked for are missing');
    return 'refuse';
  }
  x.outcome = 'miss';
  if (stale) {
    // It would be served while it is validated; but since an origin has to be asked, that comes first.
    x.stale = entry;
    x.forward = 'expired';
    return 'choose';
  }
  x.slicing = slicing;
  x.forward = 'partial';
  return x.origin === undefined ? 'choose' : 'fetch';
}

function isOnlyIfCached({ requestClass }: Exchange): boolean {
  return requestClass?.kind === 'lookup' && requestClass.directives.onlyIfCached;
}

/** What was found counts for nothing. */
function forget(x: Exchange): void {
  x.openBody?.close();
  x.openBody = undefined;
  x.entry = undefined;
  x.stale = undefined;
  x.freshHead = undefined;
}

/** Once more, of the same origin. `asItIs`: what the client asks for. */
function askAgain(x: Exchange, asItIs: boolean): NextStep {
  x.tee?.abort();
  x.slicing = { ...NOT_SLICED, asItIs };
  x.stored = false;
  forget(x);
  return 'fetch';
}

/** What is never kept is asked for as it is, for a while. */
function noteUnsliced(x: Exchange, { ports, unsliced }: Engine): void {
  unsliced.note(x.key, ports.clock.monotonic());
}

function takePart(x: Exchange, engine: Engine, answer: OriginAnswer, reading: UsablePart): NextStep {
  const { ports } = engine;
  const { index } = x.slicing;
  if (index?.isOf(answer, reading.length)) return join(x, engine, answer, reading, index);
  index?.drop();
  if (x.stale !== undefined && isOf(x.stale, answer, reading)) {
    // The condition was overlooked: it means what a 304 means.
    x.tee?.abort();
    x.answer = { ...answer, status: 304, fields: wholeFields(answer.fields) };
    return 'refresh';
  }
  // Others may have begun with it while this was on its way.
  const known = selectVariant(ports.cache.find(x.key), x.request.fields);
  if (known?.head.slices && isOf(known, answer, reading) && !isPurgedFor(x, ports, known)) {
    return join(x, engine, answer, reading, new SliceIndex(x, ports, known, known.head, true));
  }
  return begin(x, engine, answer, reading);
}

function isOf(entry: CacheEntry, answer: OriginAnswer, { length }: UsablePart): boolean {
  return bodyLength(entry) === length && isSameVersion(entry.head, answer.fields);
}

/** A part of what there is an index of. */
function join(x: Exchange, engine: Engine, answer: OriginAnswer, { part }: UsablePart, index: SliceIndex): NextStep {
  index.join(answer, x.barrier);
  x.stored = index.kept;
  const wanted = wantedBy(x, index.head, index.sliced);
  if (!canGive(wanted, index.kept, part)) return askAgain(x, true);
  x.freshHead = index.head;
  const writer = index.writer(part.from, x.barrier, answer.requestedAt, answer.receivedAt);
  return answerFrom(x, engine, index, part, writer);
}

/** A part of what nothing is known of. */
function begin(x: Exchange, engine: Engine, answer: OriginAnswer, { part, length }: UsablePart): NextStep {
  const { ports } = engine;
  const whole = { ...answer, status: 200, fields: wholeFields(answer.fields) };
  const decision = decideAnswer(x, whole);
  const head = headOf(x, whole, decision);
  const bytes = required(x.route, 'route').cache.sliceBytes ?? 0;
  const sliced = { bytes, length, generation: newGeneration(ports) };
  const complete = part.from === 0 && part.to === length && length <= bytes;
  const entry = { ...entryOf(x, head), head: { ...head, slices: sliced } };
  // An unsafe request may have come in between.
  const isInvalid = engine.fills.isInvalid(x);
  const isStorable = decision.kind === 'store' && !isInvalid;
  const hasValidator = strongValidator(head) !== undefined;
  const kept = isStorable && !complete && hasValidator ? ports.cache.put(entry) : undefined;
  const index = new SliceIndex(x, ports, kept ?? entry, entry.head, kept !== undefined);
  if (!isInvalid && kept === undefined && !(isStorable && complete)) noteUnsliced(x, engine);
  if (!canGive(wantedBy(x, head, sliced), index.kept, part)) return askAgain(x, true);
  // All that there is, and no more than a slice: an answer like any other.
  const writer =
    isStorable && complete
      ? ports.cache.begin(entryOf(x, head), length)
      : index.writer(part.from, x.barrier, answer.requestedAt, answer.receivedAt);
  x.stored = writer !== undefined;
  if (decision.kind !== 'store') x.forwardDetail = decision.reason;
  else if (!complete && !hasValidator) x.forwardDetail = 'no-validator';
  x.freshHead = { ...entry.head, fields: passedOn(answer) };
  return answerFrom(x, engine, index, part, writer);
}

/** The origin does not give parts: the client gets what it wants of the whole. */
function takeWhole(x: Exchange, engine: Engine, answer: OriginAnswer): NextStep {
  const { ports } = engine;
  x.slicing.index?.drop();
  const framing = responseFraming(answer.received);
  if (framing.kind !== 'length' || framing.length === 0) return 'store';
  const { length } = framing;
  const decision = decideAnswer(x, answer);
  const head = headOf(x, answer, decision);
  const sliced = { bytes: length, length, generation: '' };
  const wanted = wantedBy(x, head, sliced);
  if (wanted.kind !== 'parts' || wanted.parts.length > 1) return 'store';
  const [{ from, to }] = wanted.parts;
  if (to - from === length) return 'store';
  const writer = decision.kind === 'store' ? ports.cache.begin(entryOf(x, head), length) : undefined;
  x.stored = writer !== undefined;
  if (!x.stored) x.forwardDetail = decision.kind === 'store' ? 'too-large' : decision.reason;
  const entry = { ...entryOf(x, head), head: { ...head, slices: sliced } };
  x.freshHead = { ...entry.head, fields: passedOn(answer) };
  const index = new SliceIndex(x, ports, entry, entry.head, false);
  return answerFrom(x, engine, index, { from: 0, to: length }, writer);
}

/** Whether the answer can be made, of what is on its way alone unless more may be asked for. */
function canGive(wanted: Wanted, more: boolean, { from, to }: Part): boolean {
  if (wanted.kind === 'scattered') return false;
  return more || wanted.kind === 'nothing' || wanted.parts.every((part) => from <= part.from && part.to <= to);
}

/** What comes from the origin goes to the client as far as it is wanted, and to the store. */
function answerFrom(
  x: Exchange,
  { ports, fills }: Engine,
  index: SliceIndex,
  part: Part,
  writer: StoreWriter | undefined,
): NextStep {
  const incoming = new Incoming(required(x.tee, 'tee').call, x.client, part, writer && fills.guarded(x, writer));
  const reader = new SliceReader(x, ports, index);
  reader.adopt(incoming);
  x.entry = index.entry;
  x.openBody = reader;
  x.slicing = { ...x.slicing, taker: incoming };
  x.tee = undefined;
  return 'respond';
}

const STATED_ANEW: ReadonlySet<string> = new Set(['content-range', 'content-length', 'age']);

/** What is for the first client alone goes to it as well. */
function passedOn({ fields }: OriginAnswer): string[] {
  return withoutFields(withoutConsumed(fields), STATED_ANEW);
}

function entryOf(x: Exchange, head: StoredHead): CacheEntry {
  const { host } = required(x.admitted, 'admission');
  const purgeTarget = purgeName(host, x.target);
  return { key: x.key, host, purgeTarget, head, body: NO_BODY, size: 0, prepared: undefined, askedAt: -1 };
}
