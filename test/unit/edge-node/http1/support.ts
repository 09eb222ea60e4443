// Reads octets with the request parser in every way in which they could arrive.
import assert from 'node:assert/strict';
import {
  type HeadLimits,
  type ParsedRequest,
  type ParseOutcome,
  ParserShared,
  RequestParser,
} from '../../../../edge-node/decide/http1/request-parser.ts';
import { SectionMemo } from '../../../../edge-node/decide/http1/section-memo.ts';

export const LIMITS: HeadLimits = { headBytes: 2048, fieldCount: 12, targetBytes: 256 };

/** The outcome for `text` (latin1) given whole; asserts that no way of cutting it, repeating it or moving it changes that. */
export function parseEveryWay(text: string, limits: HeadLimits = LIMITS): ParseOutcome {
  const octets = Buffer.from(text, 'latin1');
  const { length } = octets;
  const shared = new ParserShared(limits, new SectionMemo(4));
  const whole = new RequestParser(shared).parse(octets, 0, length);
  for (let cut = 1; cut < length; cut += 1) {
    const parser = new RequestParser(shared);
    const early = parser.parse(octets.subarray(0, cut), 0, cut);
    if (early.kind !== 'incomplete') {
      assert.deepEqual(early, whole, `decided otherwise after ${cut} octets`);
      continue;
    }
    assert.deepEqual(parser.parse(octets, 0, length), whole, `cut at ${cut}`);
  }
  const drip = new RequestParser(shared);
  let dripped: ParseOutcome = { kind: 'incomplete' };
  for (let end = 1; end <= length && dripped.kind === 'incomplete'; end += 1) dripped = drip.parse(octets, 0, end);
  assert.deepEqual(dripped, whole, 'octet by octet');
  const repeating = new RequestParser(shared);
  for (let i = 0; i < 3; i += 1) assert.deepEqual(repeating.parse(octets, 0, length), whole, `time ${i}`);
  const moved = new RequestParser(shared).parse(Buffer.concat([Buffer.from('?????'), octets]), 5, 5 + length);
  assert.deepEqual(
    moved.kind === 'request' ? { ...moved, end: moved.end - 5 } : moved,
    whole,
    'elsewhere in the window',
  );
  return whole;
}

/** As `parseEveryWay`, for what is to be accepted. */
export function accept(text: string, limits: HeadLimits = LIMITS): ParsedRequest {
  const outcome = parseEveryWay(text, limits);
  assert.equal(outcome.kind, 'request', outcome.kind === 'refused' ? `refused: ${outcome.reason}` : 'incomplete');
  return outcome as ParsedRequest;
}

/** "STATUS reason" for what is to be refused. */
export function refuse(text: string, limits: HeadLimits = LIMITS): string {
  const outcome = parseEveryWay(text, limits);
  return outcome.kind === 'refused' ? `${outcome.status} ${outcome.reason}` : outcome.kind;
}
