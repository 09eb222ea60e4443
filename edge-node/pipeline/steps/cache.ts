// lookUp, refresh, store: what the cache has for a request, and what it makes of an origin's answer.
import { type CacheEntry, makeHead, type StoredHead } from '../../decide/cache/entry.ts';
import type { NotStoredReason } from '../../decide/cache/explain.ts';
import { nearsExpiry, supersedes } from '../../decide/cache/fills.ts';
import { judge } from '../../decide/cache/freshness.ts';
import { invalidatedKeys } from '../../decide/cache/invalidation.ts';
import { cacheKey, purgeName } from '../../decide/cache/key.ts';
import { type KeyRules, keyTarget } from '../../decide/cache/policy.ts';
import { refreshHead, updateByHead } from '../../decide/cache/refresh.ts';
import { classifyRequest, invalidates, type RequestClass, requestDirectives } from '../../decide/cache/request.ts';
import { bodyLength } from '../../decide/cache/slices.ts';
import { decideStore, type StoreDecision } from '../../decide/cache/storable.ts';
import { hasConditions, selectFor304 } from '../../decide/cache/validation.ts';
import { selectVariant } from '../../decide/cache/vary.ts';
import { findRoute } from '../../decide/compile.ts';
import { failure } from '../../decide/errors.ts';
import type { FieldList } from '../../decide/fields.ts';
import { responseFraming, variesBeyondKey } from '../../decide/forward.ts';
import { isPurged, judgedHead } from '../../decide/purged.ts';
import type { Ports } from '../../ports.ts';
import {
  askedName,
  type Exchange,
  finish,
  NO_VARIANTS,
  type OriginAnswer,
  required,
  serveStale,
  useEntry,
} from '../exchange.ts';
import type { FillTable } from '../fill-table.ts';
import type { RequestMemo } from '../request-memo.ts';
import type { Engine, StepFunction } from '../run.ts';
import { wholeInSlices } from '../slices/answer-from.ts';
import { copyVariant } from '../variant-copy.ts';

export const lookUp: StepFunction<'lookUp'> = (x, engine) => {
  const { ports } = engine;
  const { fields } = x.request;
  x.requestClass ??= classify(x, engine.memo);
  if (x.requestClass.kind === 'bypass') {
    x.outcome = 'bypass';
    x.forward = x.requestClass.reason;
    return mayGoOn(x) ? 'choose' : notCached(x);
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
    x.variants = variants.map(({ host, purgeTarget, head }) => ({ host, purgeTarget, head }));
    return directives.onlyIfCached ? notCached(x) : 'collapse';
  }
  // Most were requested after the newest purge of either kind.
  const older = entry.head.barrier < ports.barrier.current;
  const asked = older ? askedName(x) : undefined;
  if (older && isPurged(ports.barrier, entry, asked)) {
    ports.cache.removeEntry(entry);
    x.forward = 'purged';
    return directives.onlyIfCached ? notCached(x) : 'collapse';
  }
  const now = ports.clock.now();
  const head = older ? judgedHead(ports.barrier, entry, now, asked) : entry.head;
  const judgement = judge(head, directives, now);
  if (judgement.kind === 'fresh') {
    ports.cache.touch(entry);
    if (useEntry(x, entry)) {
      x.ageMs = judgement.ageMs;
      x.outcome = 'hit';
      if (nearsExpiry(entry.head, judgement.ttlMs)) engine.fills.refreshEarly(x, engine, entry, judgement.ttlMs);
      return 'respond';
    }
    x.forward = 'uri-miss';
    return directives.onlyIfCached ? notCached(x) : 'collapse';
  }
  if (judgement.mayServeWhileRevalidating && useEntry(x, entry)) {
    x.outcome = 'stale';
    engine.fills.refreshBehind(x, engine, entry);
    return 'respond';
  }
  x.stale = entry;
  x.judgement = judgement;
  x.forward = judgement.reason;
  return directives.onlyIfCached ? notCached(x) : 'collapse';
};

/** The class of the request; its target and cache key are set. */
function classify(x: Exchange, memo: RequestMemo): RequestClass {
  const { method, fields, scheme } = x.request;
  const admitted = required(x.admitted, 'admission');
  const site = required(x.site, 'site');
  const route = required(x.route, 'route');
  const requestClass = classifyRequest(method, fields, route.cache, admitted.target);
  const target =
    route.cache.key && requestClass.kind === 'lookup' ? keyTarget(route.cache.key, admitted.target) : admitted.target;
  const key = cacheKey(scheme, admitted.authority, target);
  x.target = target;
  x.key = key;
  memo.keep(x.request, { admitted, site, route, requestClass, target, key });
  return requestClass;
}

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

/** Of what the cache is not asked for: whether an origin may be. A method with effects has to reach one (section 4). */
function mayGoOn({ request: { method, fields } }: Exchange): boolean {
  return (method !== 'GET' && method !== 'HEAD') || !requestDirectives(fields).onlyIfCached;
}

/** RFC 9111 section 5.2.1.7. */
function notCached(x: Exchange): 'refuse' {
  x.failure = failure('not-cached', `only-if-cached, and the cache says ${x.forward}`);
  return 'refuse';
}

export const refresh: StepFunction<'refresh'> = (x, { ports, fills }) => {
  const answer = required(x.answer, 'answer');
  const { stale } = x;
  const entry = stale ?? variantFor304(x, ports, answer.fields);
  if (entry === undefined) return askAnew(x);
  const decision = refreshHead({
    entry: entry.head,
    fields304: answer.fields,
    requestFields: x.request.fields,
    policy: required(x.route, 'route').cache,
    requestedAt: answer.requestedAt,
    receivedAt: answer.receivedAt,
    barrier: x.barrier,
  });
  if (decision.kind === 'mismatch' || !useEntry(x, entry)) return askAnew(x);
  const { head } = decision;
  x.outcome = 'revalidated';
  x.freshHead = head;
  const unkeyed = variesBeyondKey(head.vary, x.request.fields);
  x.stored = decision.kind === 'refresh' && !unkeyed;
  if (decision.kind === 'answer-only') x.forwardDetail = decision.reason;
  // Of the requests that another variant is stored for, the answer to this one says nothing.
  if (stale === undefined) x.stored &&= copyVariant(x, fills, entry, head);
  else if (x.stored) ports.cache.refresh(stale, head);
  else if (unkeyed || (decision.kind === 'answer-only' && decision.remove)) ports.cache.removeEntry(stale);
  return 'respond';
};

/** Which of the variants that the origin was asked about is the answer, if it is here still. */
function variantFor304(x: Exchange, { cache }: Ports, fields304: FieldList): CacheEntry | undefined {
  const named = selectFor304(x.variants, fields304)?.head;
  if (named === undefined) return undefined;
  const isIt = ({ head }: CacheEntry): boolean => head.variant === named.variant && head.etag === named.etag;
  return cache.find(x.key).find(isIt) ?? x.found?.find(isIt);
}

/** The 304 speaks of nothing that is here: an origin is asked again, for the whole. */
function askAnew(x: Exchange): 'fetch' {
  x.tee?.abort();
  x.stale = undefined;
  x.variants = NO_VARIANTS;
  return 'fetch';
}

export const store: StepFunction<'store'> = (x, engine) => {
  const { ports, fills } = engine;
  const answer = required(x.answer, 'answer');
  const tee = required(x.tee, 'tee');
  const framing = responseFraming(answer.received);
  // No condition reached the origin, or the step would be `refresh`: the client may not have set one either.
  const unasked = answer.status === 304 && x.conditionsHeld;
  if (framing.kind === 'malformed' || unasked) {
    tee.abort();
    // It is as if none had come.
    x.answer = undefined;
    if (serveStale(x, ports, undefined)) return 'respond';
    x.failure = failure(
      'origin-malformed',
      framing.kind === 'malformed' ? framing.detail : 'a 304 without a condition',
    );
    return 'refuse';
  }
  if (invalidates(x.request.method, answer.status)) invalidate(x, fills, answer);
  if (x.request.method === 'HEAD' && x.stale) freshenByHead(x, ports, answer, x.stale);
  const decision = decideAnswer(x, answer);
  x.answerLength = framing.kind === 'length' ? framing.length : undefined;
  if (decision.kind === 'store') {
    x.freshHead = headOf(x, answer, decision);
    openWriter(x, engine, answer, x.freshHead);
    fills.onStorable(x.key);
  } else {
    if (x.outcome === 'miss') notStored(x, ports, decision.reason);
    const asked = x.conditionsHeld ? x.stale : undefined;
    if (asked !== undefined && supersedes(answer.status, decision.reason)) ports.cache.removeEntry(asked);
    // Only to judge the client's own conditions by.
    if (x.conditionsHeld && hasConditions(x.request.fields)) x.freshHead = headOf(x, answer, decision);
  }
  return 'respond';
};

function notStored(x: Exchange, ports: Ports, reason: NotStoredReason): void {
  x.forwardDetail = reason;
  ports.skips?.note(x.key, reason, ports.clock.now());
}

/** Whether the answer may be stored, and for how long. */
export function decideAnswer(x: Exchange, answer: OriginAnswer): StoreDecision {
  const decision = decideStore({
    method: x.request.method,
    requestFields: x.request.fields,
    status: answer.status,
    responseFields: answer.fields,
    policy: required(x.route, 'route').cache,
    target: required(x.admitted, 'admission').target,
    requestedAt: answer.requestedAt,
    receivedAt: answer.receivedAt,
  });
  const unkeyed = decision.kind === 'store' && variesBeyondKey(decision.vary, x.request.fields);
  return unkeyed ? { kind: 'skip', reason: 'vary-star' } : decision;
}

/** RFC 9111 section 4.4. */
function invalidate(x: Exchange, fills: FillTable, answer: OriginAnswer): void {
  const { method, scheme } = x.request;
  const { authority, target } = required(x.admitted, 'admission');
  const { status, fields } = answer;
  const site = required(x.site, 'site');
  // What Location names may be on another route.
  const keyOf = (named: string): KeyRules | undefined => findRoute(site, named.split('?', 1)[0] ?? '')?.cache.key;
  const keys = invalidatedKeys({ method, status, responseFields: fields, scheme, authority, target, keyOf });
  for (const name of keys) fills.invalidate(name);
}

/** RFC 9111 section 4.3.5. */
function freshenByHead(x: Exchange, ports: Ports, answer: OriginAnswer, stale: CacheEntry): void {
  const { status, fields, requestedAt, receivedAt } = answer;
  const requestFields = x.request.fields;
  const decision = updateByHead({
    entry: stale.head,
    status,
    fields,
    bodyLength: bodyLength(stale),
    requestFields,
    policy: required(x.route, 'route').cache,
    requestedAt,
    receivedAt,
    barrier: x.barrier,
  });
  const unkeyed = decision.kind === 'update' && variesBeyondKey(decision.head.vary, requestFields);
  if (decision.kind === 'update' && !unkeyed) ports.cache.refresh(stale, decision.head);
  else if (decision.kind !== 'keep') ports.cache.removeEntry(stale);
}

/** What of the answer is stored, or, where it may not be, by what the client's conditions are judged. */
export function headOf(x: Exchange, answer: OriginAnswer, decision: StoreDecision): StoredHead {
  const { status, fields, requestedAt, receivedAt } = answer;
  const common = { status, fields, requestFields: x.request.fields, requestedAt, receivedAt, barrier: x.barrier };
  return decision.kind === 'store'
    ? makeHead({ ...common, ...decision })
    : makeHead({ ...common, lifetimeMs: 0, lifetimeSource: 'none', vary: [] });
}

function openWriter(x: Exchange, engine: Engine, answer: OriginAnswer, head: StoredHead): void {
  const { ports, fills } = engine;
  const { answerLength: length } = x;
  const { host } = required(x.admitted, 'admission');
  const writer = ports.cache.begin({ key: x.key, host, purgeTarget: purgeName(host, x.target), head }, length);
  if (writer) {
    x.stored = true;
    required(x.tee, 'tee').store(writer, length);
  } else if (fills.isInvalid(x) || !wholeInSlices(x, engine, answer, head, length)) notStored(x, ports, 'too-large');
}
