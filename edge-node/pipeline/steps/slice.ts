// slice: what an answer is made from of which only a part is asked for, or kept. It begins when its first slice is at hand: that is
// looked for in memory and on disk, else an origin is asked, and what that sends is judged: a part of what is known, of a new
// version, of what is not to be kept, or the whole in spite of all. See decide/cache/slices.ts.
import { strongValidator, wholeFields } from '../../decide/cache/partial.ts';
import type { Part } from '../../decide/cache/ranges.ts';
import { type AskedPart, readAsked, type Wanted } from '../../decide/cache/slices.ts';
import { combinedField } from '../../decide/fields.ts';
import { responseFraming } from '../../decide/forward.ts';
import { type Exchange, NOT_SLICED, type OriginAnswer, required } from '../exchange.ts';
import type { Engine, StepFunction } from '../run.ts';
import { answerFrom, answerInSlices, entryOf, isOf, knownIndex, passedOn } from '../slices/answer-from.ts';
import { forget, lookForFirst, wantedBy } from '../slices/first-slice.ts';
import { newGeneration, SliceIndex } from '../slices/slice-index.ts';
import type { Next } from '../table.ts';
import { decideAnswer, headOf } from './cache.ts';

type NextStep = Next<'slice'>;
type UsablePart = Extract<AskedPart, { kind: 'part' }>;

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
  const { index } = x.slicing;
  if (index?.isOf(answer, reading.length)) return join(x, engine, answer, reading, index);
  index?.drop();
  if (x.stale !== undefined && isOf(x.stale, answer, reading.length)) {
    // The condition was overlooked: it means what a 304 means.
    x.tee?.abort();
    x.answer = { ...answer, status: 304, fields: wholeFields(answer.fields) };
    return 'refresh';
  }
  const known = knownIndex(x, engine, answer, reading.length);
  return known ? join(x, engine, answer, reading, known) : begin(x, engine, answer, reading);
}

/** A part of what there is an index of. */
function join(x: Exchange, engine: Engine, answer: OriginAnswer, { part }: UsablePart, index: SliceIndex): NextStep {
  index.join(answer, x.barrier);
  const wanted = wantedBy(x, index.head, index.sliced);
  if (!canGive(wanted, index.kept, part)) return askAgain(x, true);
  x.freshHead = index.head;
  return answerInSlices(x, engine, index, part, answer);
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
  if (decision.kind !== 'store') x.forwardDetail = decision.reason;
  else if (!complete && !hasValidator) x.forwardDetail = 'no-validator';
  x.freshHead = { ...entry.head, fields: passedOn(answer) };
  if (!complete) return answerInSlices(x, engine, index, part, answer);
  // All that there is, and no more than a slice: an answer like any other.
  const writer = isStorable ? ports.cache.begin(entryOf(x, head), length) : undefined;
  return answerFrom(x, engine, index, part, writer, writer && 'whole');
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
  if (!writer) x.forwardDetail = decision.kind === 'store' ? 'too-large' : decision.reason;
  const entry = { ...entryOf(x, head), head: { ...head, slices: sliced } };
  x.freshHead = { ...entry.head, fields: passedOn(answer) };
  const index = new SliceIndex(x, ports, entry, entry.head, false);
  const bytes = required(x.route, 'route').cache.sliceBytes ?? 0;
  return answerFrom(x, engine, index, { from: 0, to: length }, writer, writer && length <= bytes ? 'whole' : undefined);
}

/** Whether the answer can be made, of what is on its way alone unless more may be asked for. */
function canGive(wanted: Wanted, more: boolean, { from, to }: Part): boolean {
  if (wanted.kind === 'scattered') return false;
  return more || wanted.kind === 'nothing' || wanted.parts.every((part) => from <= part.from && part.to <= to);
}
