// respond, refuse: the answer leaves, from the cache (stored.ts), through the tee or as a failure; and the exchange is entered in the
// ledger.
import { type CacheDetail, cacheStatus } from '../../decide/cache/cache-status.ts';
import type { StoredHead } from '../../decide/cache/entry.ts';
import { withoutConsumed } from '../../decide/cache/tags.ts';
import { notModified, notModifiedFields } from '../../decide/cache/validation.ts';
import { FAILURES, failureResponse } from '../../decide/errors.ts';
import { FieldMemo } from '../../decide/field-memo.ts';
import type { FieldList } from '../../decide/fields.ts';
import type { Ports } from '../../ports.ts';
import { type Exchange, finish, type OriginAnswer, required } from '../exchange.ts';
import type { StepFunction } from '../run.ts';
import type { Tee } from '../tee.ts';
import { Unattended } from '../unattended.ts';
import { reasonOf, respondFromCache, respondFromFill } from './stored.ts';

export const respond: StepFunction<'respond'> = (x, { ports }) => {
  if (x.entry) {
    // Nobody takes it, so it need not be read.
    if (x.fill !== undefined && x.client instanceof Unattended) {
      // Who waits for what comes first says so.
      x.fill.settle();
      x.openBody?.close();
    } else if (x.entry.head.slices !== undefined && x.openBody === undefined) {
      // What is known of all slices is known; what of them is there is for each to see.
      x.fill?.settle();
      return 'slice';
    } else respondFromCache(x, ports, x.entry);
  } else if (x.share?.fill) respondFromFill(x, ports, x.share.fill);
  else respondFromOrigin(x, ports, required(x.answer, 'answer'), required(x.tee, 'tee'));
  x.fill?.settle();
  return 'done';
};

function respondFromOrigin(x: Exchange, ports: Ports, received: OriginAnswer, tee: Tee): void {
  const { method, fields: requestFields } = x.request;
  const { status, fields } = received;
  const head = x.freshHead;
  // The client's own conditions did not go to the origin when its answer was to be stored.
  if (x.conditionsHeld && head && status === 200 && notModified(method, requestFields, head)) {
    x.cacheStatus = forwardedStatus(x, ports, status, head);
    const kept = notModifiedFields(head);
    kept.push('cache-status', x.cacheStatus);
    answer(x, 304, kept, undefined);
    // The store may still want the body.
    if (!x.stored) tee.abort();
    finish(x, ports, 'complete', 0);
    return;
  }
  const out = forwardedFields(x, ports, status, fields, head);
  const length = x.answerLength;
  if (method === 'HEAD' || status === 204 || status === 304) {
    answer(x, status, out, undefined, length);
    finish(x, ports, 'complete', 0);
  } else {
    x.client.begin(status, out, length);
    x.responded = true;
    x.status = status;
    tee.relay(length);
  }
}

/** What was made of an answer's fields, for answers that went the same way. */
interface Labelled {
  readonly name: string;
  readonly status: number;
  readonly forward: Exchange['forward'];
  readonly detail: CacheDetail | undefined;
  readonly cacheStatus: string;
  readonly out: FieldList;
}

const labelled = new FieldMemo<Labelled>();

/** The answer's fields with Cache-Status, which is also left in the exchange. */
function forwardedFields(
  x: Exchange,
  ports: Ports,
  status: number,
  fields: FieldList,
  head: StoredHead | undefined,
): FieldList {
  const { forward, forwardDetail: detail, stored } = x;
  const name = ports.cacheName;
  // What is stored has its time to live in there.
  const known = stored ? undefined : labelled.find(fields);
  if (known?.forward === forward && known.detail === detail && known.status === status && known.name === name) {
    x.cacheStatus = known.cacheStatus;
    return known.out;
  }
  const cacheStatus = forwardedStatus(x, ports, status, head);
  const out = Object.freeze([...withoutConsumed(fields), 'cache-status', cacheStatus]);
  if (!stored) labelled.keep(fields, { name, status, forward, detail, cacheStatus, out });
  x.cacheStatus = cacheStatus;
  return out;
}

/** Sends an answer whose body is at hand, or that has none. */
function answer(x: Exchange, status: number, fields: FieldList, body: Buffer | undefined, length?: number): void {
  x.client.answer(status, fields, body, length);
  x.responded = true;
  x.status = status;
}

function forwardedStatus(x: Exchange, ports: Ports, status: number, head: StoredHead | undefined): string {
  const stored = x.stored && head !== undefined;
  return cacheStatus(ports.cacheName, {
    kind: 'forward',
    reason: reasonOf(x),
    status,
    stored,
    ttlMs: stored ? head.lifetimeMs - head.initialAgeMs : undefined,
    collapsed: false,
    detail: x.forwardDetail ?? forwardDetail(x),
  });
}

/** The exact reason, where RFC 9211's word for it says less. */
function forwardDetail(x: Exchange): CacheDetail | undefined {
  switch (x.forward) {
    case 'uri-miss':
    case 'vary-miss':
    case 'partial':
    case 'expired':
    case 'method':
      return undefined;
    default:
      return x.forward;
  }
}

export const refuse: StepFunction<'refuse'> = (x, { ports }) => {
  const { code, detail } = required(x.failure, 'failure');
  const { status, fields, body } = failureResponse(code);
  if (FAILURES[code].source === 'origin')
    ports.log.warn({ code, detail, target: x.request.target }, 'a request failed');
  const bytes = Buffer.from(body);
  answer(x, status, fields, bytes, bytes.length);
  finish(x, ports, 'complete', x.request.method === 'HEAD' ? 0 : bytes.length);
  x.fill?.settle();
  return 'done';
};
