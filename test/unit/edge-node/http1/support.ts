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
  const whole = parse(new RequestParser(shared, 'http', '192.0.2.1'), octets, 0, length);
  for (let cut = 1; cut < length; cut += 1) {
    const parser = new RequestParser(shared, 'http', '192.0.2.1');
    const early = parse(parser, octets.subarray(0, cut), 0, cut);
    if (early.kind !== 'incomplete') {
      assert.deepEqual(early, whole, `decided otherwise after ${cut} octets`);
      continue;
    }
    assert.deepEqual(parse(parser, octets, 0, length), whole, `cut at ${cut}`);
  }
  const drip = new RequestParser(shared, 'http', '192.0.2.1');
  let dripped: ParseOutcome = { kind: 'incomplete' };
  for (let end = 1; end <= length && dripped.kind === 'incomplete'; end += 1) dripped = parse(drip, octets, 0, end);
  assert.deepEqual(dripped, whole, 'octet by octet');
  const repeating = new RequestParser(shared, 'http', '192.0.2.1');
  for (let i = 0; i < 3; i += 1) assert.deepEqual(parse(repeating, octets, 0, length), whole, `time ${i}`);
  const moved = parse(
    new RequestParser(shared, 'http', '192.0.2.1'),
    Buffer.concat([Buffer.from('?????'), octets]),
    5,
    5 + length,
  );
  assert.deepEqual(
    moved.kind === 'request' ? { ...moved, end: moved.end - 5 } : moved,
    whole,
    'elsewhere in the window',
  );
  return whole;
}

/** The outcome but for `recurring`, which tells of the requests before. */
function parse(parser: RequestParser, window: Buffer, start: number, end: number): ParseOutcome {
  const outcome = parser.parse(window, start, end);
  return outcome.kind === 'request' ? { ...outcome, recurring: false } : outcome;
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
