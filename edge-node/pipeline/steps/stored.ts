// Answers from the cache: the whole, 304 to a condition that says that the client has it, or the parts that it asks for (RFC
// 9110 section 13.2.2, steps 3 to 5).
import type { OpenBody } from '../../decide/cache/body-source.ts';
import { cacheStatus, type ForwardReason, forwardReason } from '../../decide/cache/cache-status.ts';
import type { CacheEntry, StoredHead } from '../../decide/cache/entry.ts';
import { ageMs } from '../../decide/cache/freshness.ts';
import {
  Preparation,
  PreparedAnswer,
  preparation,
  storedFieldsOf,
  unchangedAnswer,
  wholeAnswer,
  wholeFields,
} from '../../decide/cache/prepared.ts';
import { contentRange, decideRange, type Part, partHeads } from '../../decide/cache/ranges.ts';
import { bodyLength } from '../../decide/cache/slices.ts';
import { isUnchanged } from '../../decide/cache/validation.ts';
import { failure } from '../../decide/errors.ts';
import { combinedField, type FieldList, field, withoutFields } from '../../decide/fields.ts';
import type { Ports } from '../../ports.ts';
import { type Exchange, finish, required } from '../exchange.ts';
import type { Fill } from '../fill.ts';
import { sendBody } from '../stored-body.ts';

/** Whose fields a part states anew. */
const OF_THE_WHOLE: ReadonlySet<string> = new Set(['content-length', 'content-range']);
const NO_BODY = Buffer.alloc(0);
const OF_ONE_PART: ReadonlySet<string> = new Set([...OF_THE_WHOLE, 'content-type']);

export function respondFromCache(x: Exchange, ports: Ports, entry: CacheEntry): void {
  const head = x.freshHead ?? entry.head;
  const age = x.outcome === 'hit' ? x.ageMs : ageMs(head, ports.clock.now());
  const ttl = head.lifetimeMs - age;
  const ready =
    x.outcome === 'hit'
      ? preparation(entry, age, ttl, ports.cacheName)
      : forwardedPreparation(x, ports, head, age, ttl);
  x.cacheStatus = ready.cacheStatus;
  if (x.openBody !== undefined) {
    respondFromBody(x, ports, ready, x.openBody, bodyLength(entry));
    return;
  }
  const asked = x.requestClass;
  if (head.status === 200 && asked?.kind === 'lookup') {
    if (asked.conditions !== undefined && isUnchanged(asked.conditions, head)) {
      ready.unchanged ??= unchangedAnswer(ready);
      send(x, ports, ready.unchanged);
      return;
    }
    if (asked.range && respondInParts(x, ports, ready, entry.body)) return;
  }
  ready.whole ??= wholeAnswer(ready, entry.body);
  send(x, ports, ready.whole);
}

/** From a fill whose body is still coming. */
export function respondFromFill(x: Exchange, ports: Ports, fill: Fill): void {
  const head = required(fill.head, 'head of the fill');
  const tee = required(fill.x.tee, 'tee');
  const ready = forwardedPreparation(x, ports, head, x.ageMs, head.lifetimeMs - x.ageMs);
  x.cacheStatus = ready.cacheStatus;
  const conditions = x.requestClass?.kind === 'lookup' ? x.requestClass.conditions : undefined;
  if (conditions !== undefined && isUnchanged(conditions, head)) {
    send(x, ports, unchangedAnswer(ready));
    return;
  }
  x.client.begin(head.status, wholeFields(ready), fill.length);
  x.responded = true;
  x.status = head.status;
  tee.follow(x.client, (end, bytes) => {
    if (end === 'origin-failed') x.failure = failure('origin-cut-off', 'the fill that it was answered from broke off');
    finish(x, ports, end, bytes);
  });
}

/** Of what is not a hit; the same for all that a fill answers alike. */
function forwardedPreparation(x: Exchange, ports: Ports, head: StoredHead, ageMs: number, ttlMs: number): Preparation {
  const age = Math.floor(ageMs / 1000);
  const ttl = Math.floor(ttlMs / 1000);
  const status = statusOf(x, ports, ttlMs);
  const fill = x.share?.fill;
  const known = fill?.prepared;
  if (known?.head === head && known.age === age && known.ttl === ttl && known.cacheStatus === status) return known;
  const made = new Preparation(head, age, ttl, status, fill !== undefined);
  if (fill !== undefined) fill.prepared = made;
  return made;
}

/** From a body that is not in memory, `length` long and open. Nothing of it is kept for others. */
function respondFromBody(x: Exchange, ports: Ports, ready: Preparation, body: OpenBody, length: number): void {
  const { method, fields } = x.request;
  const { head } = ready;
  const asked = head.status === 200 && x.requestClass?.kind === 'lookup' ? x.requestClass : undefined;
  const range = asked?.range ? decideRange(fields, head, length) : undefined;
  const part = range?.kind === 'parts' && range.parts.length === 1 ? range.parts[0] : undefined;
  if (asked?.conditions !== undefined && isUnchanged(asked.conditions, head)) {
    body.close();
    send(x, ports, unchangedAnswer(ready));
  } else if (range?.kind === 'unsatisfiable') {
    body.close();
    send(x, ports, unsatisfiable(ready, length));
  } else if (method === 'HEAD') {
    body.close();
    send(x, ports, new PreparedAnswer(head.status, wholeFields(ready), NO_BODY, length, false));
  } else if (part !== undefined) {
    begin(x, 206, partFields(ready, part, length), part.to - part.from);
    sendBody(x, ports, body, [part]);
  } else if (range?.kind === 'parts') {
    const { pieces, fields: stated, length: sum } = multipart(ports, ready, range.parts, length);
    begin(x, 206, stated, sum);
    sendBody(x, ports, body, pieces);
  } else {
    begin(x, head.status, wholeFields(ready), length);
    sendBody(x, ports, body, [{ from: 0, to: length }]);
  }
}

function begin(x: Exchange, status: number, fields: FieldList, length: number): void {
  x.client.begin(status, fields, length);
  x.responded = true;
  x.status = status;
}

/** Cache-Status of what is served from the cache otherwise than as a hit. */
function statusOf(x: Exchange, ports: Ports, ttlMs: number): string {
  if (x.outcome === 'stale') {
    // What waits for an origin is kept in `stale`.
    const detail = x.stale === undefined ? 'stale-while-revalidate' : 'stale-served';
    // After a soft purge its own lifetime counts no more.
    return cacheStatus(ports.cacheName, { kind: 'hit', ttlMs: Math.min(0, ttlMs), detail });
  }
  const fill = x.share?.fill;
  const collapsed = x.outcome === 'collapsed';
  const stored = x.stored || collapsed;
  return cacheStatus(ports.cacheName, {
    kind: 'forward',
    reason: reasonOf(x),
    // Who has waited for a slice alone has heard of no answer.
    status: fill === undefined ? (x.answer?.status ?? (collapsed ? 206 : 304)) : fill.status,
    stored,
    ttlMs: stored ? ttlMs : undefined,
    collapsed,
    detail: x.forwardDetail,
  });
}

export function reasonOf({ forward }: Exchange): ForwardReason {
  if (forward === 'uri-miss' || forward === 'vary-miss' || forward === 'partial') return forward;
  return forwardReason(forward);
}

function send(x: Exchange, ports: Ports, prepared: PreparedAnswer): void {
  const { status, fields, body, length } = prepared;
  if (x.client.answerPrepared) x.client.answerPrepared(prepared);
  else x.client.answer(status, fields, body, length);
  x.responded = true;
  x.status = status;
  finish(x, ports, 'complete', body === undefined || x.request.method === 'HEAD' ? 0 : body.length);
}

/** False: the whole is to be sent. */
function respondInParts(x: Exchange, ports: Ports, ready: Preparation, body: Buffer): boolean {
  const { fields } = x.request;
  const range = combinedField(fields, 'range') ?? '';
  const conditional = field(fields, 'if-range') !== undefined;
  if (ready.part !== undefined && ready.range === range && !conditional) {
    send(x, ports, ready.part);
    return true;
  }
  const decision = decideRange(fields, ready.head, body.length);
  if (decision.kind === 'whole') return false;
  if (decision.kind === 'parts' && decision.parts.length > 1) {
    sendParts(x, ports, ready, body, decision.parts);
    return true;
  }
  const prepared =
    decision.kind === 'parts' ? partAnswer(ready, body, decision.parts[0]) : unsatisfiable(ready, body.length);
  if (!conditional) {
    ready.part = prepared;
    ready.range = range;
  }
  send(x, ports, prepared);
  return true;
}

function partAnswer(ready: Preparation, body: Buffer, part: Part): PreparedAnswer {
  const slice = body.subarray(part.from, part.to);
  return new PreparedAnswer(206, partFields(ready, part, body.length), slice, slice.length, ready.kept);
}

/** `length`: of the whole. */
function partFields(ready: Preparation, part: Part, length: number): FieldList {
  const fields = partialFields(ready, OF_THE_WHOLE);
  fields.push('content-range', contentRange(part, length));
  return fields;
}

/** RFC 9110 section 15.5.17. */
function unsatisfiable({ age, cacheStatus, kept }: Preparation, length: number): PreparedAnswer {
  const fields = ['content-range', contentRange(undefined, length), 'accept-ranges', 'bytes'];
  fields.push('age', String(age), 'cache-status', cacheStatus);
  return new PreparedAnswer(416, fields, undefined, 0, kept);
}

/** A multipart/byteranges body (section 14.6) of a stored one. */
function sendParts(x: Exchange, ports: Ports, ready: Preparation, body: Buffer, parts: readonly Part[]): void {
  const { pieces, fields, length } = multipart(ports, ready, parts, body.length);
  const { client } = x;
  begin(x, 206, fields, length);
  // All at once: what waits for the client is held as parts of what is stored, as with any stored body.
  for (const piece of pieces) {
    client.write(Buffer.isBuffer(piece) ? piece : body.subarray(piece.from, piece.to));
  }
  client.end();
  finish(x, ports, 'complete', length);
}

/** `whole`: the length of the stored body. */
function multipart(
  ports: Ports,
  ready: Preparation,
  parts: readonly Part[],
  whole: number,
): { readonly pieces: (Part | Buffer)[]; readonly fields: FieldList; readonly length: number } {
  const boundary = `meridian${hex(ports.random.next())}${hex(ports.random.next())}`;
  const texts = partHeads(parts, field(ready.head.fields, 'content-type'), whole, boundary);
  const fields = partialFields(ready, OF_ONE_PART);
  fields.push('content-type', `multipart/byteranges; boundary=${boundary}`);
  const pieces: (Part | Buffer)[] = [];
  let length = 0;
  texts.forEach((text, index) => {
    pieces.push(Buffer.from(text, 'latin1'));
    length += text.length;
    const part = parts[index];
    if (part === undefined) return;
    pieces.push(part);
    length += part.to - part.from;
  });
  return { pieces, fields, length };
}

function partialFields({ head, age, cacheStatus }: Preparation, drop: ReadonlySet<string>): string[] {
  const fields = withoutFields(storedFieldsOf(head), drop);
  fields.push('age', String(age), 'cache-status', cacheStatus);
  return fields;
}

/** Of a number in [0, 1). */
function hex(fraction: number): string {
  return Math.floor(fraction * 2 ** 32)
    .toString(16)
    .padStart(8, '0');
}
