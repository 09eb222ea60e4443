// lookUp, refresh, store: what the cache has for a request, and what it makes of an origin's answer.
import { makeHead, type StoredHead } from '../../decide/cache/entry.ts';
import { judge } from '../../decide/cache/freshness.ts';
import { cacheKey, purgeName } from '../../decide/cache/key.ts';
import { refreshHead } from '../../decide/cache/refresh.ts';
import { classifyRequest, invalidates } from '../../decide/cache/request.ts';
import { decideStore, type StoreDecision } from '../../decide/cache/storable.ts';
import { selectVariant } from '../../decide/cache/vary.ts';
import { failure } from '../../decide/errors.ts';
import { responseFraming, variesBeyondKey } from '../../decide/forward.ts';
import type { Ports } from '../../ports.ts';
import { type Exchange, finish, type OriginAnswer, required, useEntry } from '../exchange.ts';
import type { Engine, StepFunction } from '../run.ts';

export const lookUp: StepFunction<'lookUp'> = (x, engine) => {
  const { ports } = engine;
  const { method, fields, scheme } = x.request;
  const admitted = required(x.admitted, 'admission');
  x.requestClass = classifyRequest(method, fields, required(x.route, 'route').cache);
  x.key = cacheKey(scheme, admitted.authority, admitted.target);
  if (x.requestClass.kind === 'bypass') {
    x.outcome = 'bypass';
    x.forward = x.requestClass.reason;
    return 'choose';
  }
  x.outcome = 'miss';
  let variants = ports.cache.find(x.key);
  let entry = variants.length === 0 ? undefined : selectVariant(variants, fields);
  if (!entry && x.found === undefined && askDisk(x, engine)) return 'wait';
  if (!entry && x.found !== undefined && x.found.length > 0) {
    variants = x.found;
    entry = selectVariant(variants, fields);
  }
  const { directives } = x.requestClass;
  if (!entry) {
    x.forward = variants.length === 0 ? 'uri-miss' : 'vary-miss';
    return directives.onlyIfCached ? notCached(x) : 'choose';
  }
  if (ports.barrier.covers(entry.head.barrier, entry.host, entry.purgeTarget)) {
    ports.cache.removeEntry(entry);
    x.forward = 'purged';
    return directives.onlyIfCached ? notCached(x) : 'choose';
  }
  const judgement = judge(entry.head, directives, ports.clock.now());
  if (judgement.kind === 'fresh') {
    ports.cache.touch(entry);
    if (useEntry(x, entry)) {
      x.outcome = 'hit';
      return 'respond';
    }
    x.forward = 'uri-miss';
    return directives.onlyIfCached ? notCached(x) : 'choose';
  }
  x.stale = entry;
  x.staleAllowed = judgement.mayServeStale;
  x.forward = judgement.reason;
  return directives.onlyIfCached ? notCached(x) : 'choose';
};

/** Whether the disk may have what memory does not; then the step is taken once more, with `x.found`. */
function askDisk(x: Exchange, { ports, resume }: Engine): boolean {
  const asked = ports.cache.findStored?.(x.key, (found) => {
    if (x.finished) return;
    x.client.onGone = undefined;
    x.found = found;
    resume(x, 'lookUp', 'lookUp');
  });
  if (asked === true) x.client.onGone = () => finish(x, ports, 'client-gone', 0);
  return asked === true;
}

/** RFC 9111 section 5.2.1.7. */
function notCached(x: Exchange): 'refuse' {
  x.failure = failure('not-cached', `only-if-cached, and the cache says ${x.forward}`);
  return 'refuse';
}

export const refresh: StepFunction<'refresh'> = (x, { ports }) => {
  const answer = required(x.answer, 'answer');
  const stale = required(x.stale, 'stale entry');
  const decision = refreshHead({
    entry: stale.head,
    fields304: answer.fields,
    requestFields: x.request.fields,
    policy: required(x.route, 'route').cache,
    requestedAt: answer.requestedAt,
    receivedAt: answer.receivedAt,
    barrier: x.barrier,
  });
  if (decision.kind === 'mismatch' || !useEntry(x, stale)) {
    // Ask again, for the whole this time.
    x.tee?.abort();
    x.stale = undefined;
    return 'fetch';
  }
  x.outcome = 'revalidated';
  x.freshHead = decision.head;
  const unkeyed = variesBeyondKey(decision.head.vary, x.request.fields);
  x.stored = decision.kind === 'refresh' && !unkeyed;
  if (x.stored) ports.cache.refresh(stale, decision.head);
  else if (unkeyed || (decision.kind === 'answer-only' && decision.remove)) ports.cache.removeEntry(stale);
  return 'respond';
};

export const store: StepFunction<'store'> = (x, { ports }) => {
  const answer = required(x.answer, 'answer');
  const tee = required(x.tee, 'tee');
  const framing = responseFraming(answer.received);
  // No condition reached the origin, or the step would be `refresh`: the client may not have set one either.
  const unasked = answer.status === 304 && x.conditionsHeld;
  if (framing.kind === 'malformed' || unasked) {
    tee.abort();
    x.failure = failure(
      'origin-malformed',
      framing.kind === 'malformed' ? framing.detail : 'a 304 without a condition',
    );
    return 'refuse';
  }
  if (invalidates(x.request.method, answer.status)) ports.cache.remove(x.key);
  let decision = decideStore({
    method: x.request.method,
    requestFields: x.request.fields,
    status: answer.status,
    responseFields: answer.fields,
    policy: required(x.route, 'route').cache,
    requestedAt: answer.requestedAt,
    receivedAt: answer.receivedAt,
  });
  if (decision.kind === 'store' && variesBeyondKey(decision.vary, x.request.fields)) {
    decision = { kind: 'skip', reason: 'vary-star' };
  }
  x.freshHead = headOf(x, answer, decision);
  if (decision.kind === 'store')
    openWriter(x, ports, x.freshHead, framing.kind === 'length' ? framing.length : undefined);
  else if (x.outcome === 'miss') x.forwardDetail = decision.reason;
  return 'respond';
};

function headOf(x: Exchange, answer: OriginAnswer, decision: StoreDecision): StoredHead {
  const { status, fields, requestedAt, receivedAt } = answer;
  const common = { status, fields, requestFields: x.request.fields, requestedAt, receivedAt, barrier: x.barrier };
  return decision.kind === 'store'
    ? makeHead({ ...common, ...decision })
    : makeHead({ ...common, lifetimeMs: 0, lifetimeSource: 'none', vary: [] });
}

function openWriter(x: Exchange, ports: Ports, head: StoredHead, length: number | undefined): void {
  const { host, target } = required(x.admitted, 'admission');
  const writer = ports.cache.begin({ key: x.key, host, purgeTarget: purgeName(host, target), head }, length);
  if (!writer) {
    x.forwardDetail = 'too-large';
    return;
  }
  x.stored = true;
  required(x.tee, 'tee').store(writer);
}
