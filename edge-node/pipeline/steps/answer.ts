// respond, refuse: the answer leaves, from the cache, through the tee or as a failure; and the exchange is entered in the
// ledger.
import { type CacheDetail, cacheStatus, type ForwardReason, forwardReason } from '../../decide/cache/cache-status.ts';
import type { CacheEntry, StoredHead } from '../../decide/cache/entry.ts';
import { ageMs } from '../../decide/cache/freshness.ts';
import { notModified, notModifiedFields } from '../../decide/cache/validation.ts';
import { FAILURES, failureResponse } from '../../decide/errors.ts';
import type { FieldList } from '../../decide/fields.ts';
import { responseFraming } from '../../decide/forward.ts';
import type { Ports } from '../../ports.ts';
import { type Exchange, finish, type OriginAnswer, required } from '../exchange.ts';
import type { StepFunction } from '../run.ts';
import { sendBody } from '../stored-body.ts';
import type { Tee } from '../tee.ts';

export const respond: StepFunction<'respond'> = (x, { ports }) => {
  if (x.entry) respondFromCache(x, ports, x.freshHead ?? x.entry.head, x.entry);
  else respondFromOrigin(x, ports, required(x.answer, 'answer'), required(x.tee, 'tee'));
  return 'done';
};

function respondFromCache(x: Exchange, ports: Ports, head: StoredHead, { body, source }: CacheEntry): void {
  const { method, fields: requestFields } = x.request;
  const now = ports.clock.now();
  const age = ageMs(head, now);
  const ttlMs = head.lifetimeMs - age;
  x.cacheStatus = cachedStatus(x, ports, ttlMs);
  const unchanged = head.status === 200 && notModified(method, requestFields, head);
  const fields = unchanged ? notModifiedFields(head) : head.fields.slice();
  fields.push('age', String(Math.floor(age / 1000)), 'cache-status', x.cacheStatus);
  const length = source?.length ?? body.length;
  const bodiless = unchanged || method === 'HEAD';
  if (x.openBody && !bodiless) {
    x.client.begin(head.status, fields, length);
    x.responded = true;
    x.status = head.status;
    sendBody(x, ports, x.openBody, 0, length);
    return;
  }
  x.openBody?.close();
  if (unchanged) answer(x, 304, fields, undefined);
  else answer(x, head.status, fields, body, length);
  finish(x, ports, 'complete', bodiless ? 0 : body.length);
}

function cachedStatus(x: Exchange, ports: Ports, ttlMs: number): string {
  switch (x.outcome) {
    case 'revalidated':
      return cacheStatus(ports.cacheName, {
        kind: 'forward',
        reason: reasonOf(x),
        status: 304,
        stored: x.stored,
        ttlMs: x.stored ? ttlMs : undefined,
        collapsed: false,
      });
    case 'stale':
      return cacheStatus(ports.cacheName, { kind: 'hit', ttlMs, detail: 'stale-served' });
    default:
      return cacheStatus(ports.cacheName, { kind: 'hit', ttlMs });
  }
}

function respondFromOrigin(x: Exchange, ports: Ports, received: OriginAnswer, tee: Tee): void {
  const { method, fields: requestFields } = x.request;
  const { status, fields } = received;
  const head = x.freshHead;
  x.cacheStatus = forwardedStatus(x, ports, status, head);
  // The client's own conditions did not go to the origin when its answer was to be stored.
  if (x.conditionsHeld && head && status === 200 && notModified(method, requestFields, head)) {
    const kept = notModifiedFields(head);
    kept.push('cache-status', x.cacheStatus);
    answer(x, 304, kept, undefined);
    // The store may still want the body.
    if (!x.stored) tee.abort();
    finish(x, ports, 'complete', 0);
    return;
  }
  const framing = responseFraming(fields);
  const length = framing.kind === 'length' ? framing.length : undefined;
  const out = fields.slice();
  out.push('cache-status', x.cacheStatus);
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

function reasonOf({ forward }: Exchange): ForwardReason {
  return forward === 'uri-miss' || forward === 'vary-miss' ? forward : forwardReason(forward);
}

/** The exact reason, where RFC 9211's word for it says less. */
function forwardDetail(x: Exchange): CacheDetail | undefined {
  switch (x.forward) {
    case 'uri-miss':
    case 'vary-miss':
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
  return 'done';
};
