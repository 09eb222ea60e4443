// respond, refuse: the answer leaves, from the cache, through the tee or as a failure; and the exchange is entered in the
// ledger.
import { type CacheDetail, cacheStatus, forwardReason } from '../../decide/cache/cache-status.ts';
import type { StoredHead } from '../../decide/cache/entry.ts';
import { ageMs } from '../../decide/cache/freshness.ts';
import { notModified, notModifiedFields } from '../../decide/cache/validation.ts';
import { FAILURES, failureResponse } from '../../decide/errors.ts';
import { responseFraming } from '../../decide/forward.ts';
import type { Ports } from '../../ports.ts';
import { type Exchange, type OriginAnswer, required } from '../exchange.ts';
import type { StepFunction } from '../run.ts';
import type { Tee } from '../tee.ts';

export const respond: StepFunction<'respond'> = (x, { ports }) => {
  x.responded = true;
  if (x.entry) respondFromCache(x, ports, x.freshHead ?? x.entry.head, x.entry.body);
  else respondFromOrigin(x, ports, required(x.answer, 'answer'), required(x.tee, 'tee'));
  return 'done';
};

function respondFromCache(x: Exchange, ports: Ports, head: StoredHead, body: Buffer): void {
  const { method, fields: requestFields } = x.request;
  const now = ports.clock.now();
  const age = ageMs(head, now);
  const ttlMs = head.lifetimeMs - age;
  x.cacheStatus = cachedStatus(x, ports, ttlMs);
  const unchanged = head.status === 200 && notModified(method, requestFields, head);
  const fields = unchanged ? notModifiedFields(head) : head.fields.slice();
  fields.push('age', String(Math.floor(age / 1000)), 'cache-status', x.cacheStatus);
  x.status = unchanged ? 304 : head.status;
  if (unchanged) x.client.answer(304, fields, undefined, undefined);
  else x.client.answer(head.status, fields, body, body.length);
  finish(x, ports, 'complete', unchanged || method === 'HEAD' ? 0 : body.length);
}

function cachedStatus(x: Exchange, ports: Ports, ttlMs: number): string {
  switch (x.outcome) {
    case 'revalidated':
      return cacheStatus(ports.cacheName, {
        kind: 'forward',
        reason: 'stale',
        status: 304,
        stored: true,
        ttlMs,
        collapsed: false,
      });
    case 'stale':
      return cacheStatus(ports.cacheName, { kind: 'hit', ttlMs, detail: 'stale-served' });
    default:
      return cacheStatus(ports.cacheName, { kind: 'hit', ttlMs });
  }
}

function respondFromOrigin(x: Exchange, ports: Ports, answer: OriginAnswer, tee: Tee): void {
  const { method, fields: requestFields } = x.request;
  const { status, fields } = answer;
  const head = x.freshHead;
  x.cacheStatus = forwardedStatus(x, ports, status, head);
  // The client's own conditions did not go to the origin when its answer was to be stored.
  if (x.conditionsHeld && head && status === 200 && notModified(method, requestFields, head)) {
    x.status = 304;
    const kept = notModifiedFields(head);
    kept.push('cache-status', x.cacheStatus);
    x.client.answer(304, kept, undefined, undefined);
    // The store may still want the body.
    if (!x.stored) {
      tee.abort();
      finish(x, ports, 'complete', 0);
    }
    return;
  }
  x.status = status;
  const framing = responseFraming(fields);
  const length = framing.kind === 'length' ? framing.length : undefined;
  const out = fields.slice();
  out.push('cache-status', x.cacheStatus);
  if (method === 'HEAD' || status === 204 || status === 304) {
    x.client.answer(status, out, undefined, length);
  } else {
    x.client.begin(status, out, length);
    tee.relay();
  }
}

function forwardedStatus(x: Exchange, ports: Ports, status: number, head: StoredHead | undefined): string {
  const stored = x.stored && head !== undefined;
  return cacheStatus(ports.cacheName, {
    kind: 'forward',
    reason: x.forward === 'uri-miss' || x.forward === 'vary-miss' ? x.forward : forwardReason(x.forward),
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
  x.responded = true;
  x.status = status;
  if (FAILURES[code].source === 'origin')
    ports.log.warn({ code, detail, target: x.request.target }, 'a request failed');
  const bytes = Buffer.from(body);
  x.client.answer(status, fields, bytes, bytes.length);
  finish(x, ports, 'complete', bytes.length);
  return 'done';
};

/** Enters the exchange in the ledger, once. `bytes`: of the body; those that went through the tee where left out. */
export function finish(
  x: Exchange,
  ports: Ports,
  end: 'complete' | 'origin-failed' | 'client-gone',
  bytes?: number,
): void {
  if (x.finished) return;
  x.finished = true;
  ports.ledger.record(x, end, bytes ?? x.tee?.bytes ?? 0);
}
