// What of a request reaches an origin, and what of an origin's answer reaches a client (RFC 9110 section 7.6). Forwarding
// fields are written afresh, so that nothing outside the cache key can be smuggled into an answer that is then stored.
import type { RequestHead } from './admit.ts';
import { DEBUG_FIELD } from './debug-text.ts';
import { FieldMemo } from './field-memo.ts';
import { combinedField, type FieldList, listMembers } from './fields.ts';

/** RFC 9110 section 7.6.1, with the older fields that still occur. */
const HOP_BY_HOP: ReadonlySet<string> = new Set([
  'connection',
  'http2-settings',
  'keep-alive',
  // Between an operator and one edge: debug-text.ts.
  DEBUG_FIELD,
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-authentication-info',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/** A Connection field may not remove these: an origin's decision may rest on them (RFC 9110 section 7.6.1, last paragraph). */
const NEVER_HOP_BY_HOP: ReadonlySet<string> = new Set([
  'host',
  'authorization',
  'cookie',
  'cache-control',
  'content-length',
  'content-type',
  'date',
  'set-cookie',
  'via',
  'cdn-loop',
  'forwarded',
]);

/** Fields by which some origins let a client change method, host or path behind the cache's back. */
export const OVERRIDES: ReadonlySet<string> = new Set([
  'x-http-method',
  'x-http-method-override',
  'x-method-override',
  'x-original-url',
  'x-rewrite-url',
  'x-original-host',
  'x-host',
  'x-real-ip',
  'x-client-ip',
  'true-client-ip',
  'cf-connecting-ip',
]);

const CONDITIONAL: ReadonlySet<string> = new Set([
  'if-none-match',
  'if-modified-since',
  'if-match',
  'if-unmodified-since',
  'if-range',
]);

/** What tells about an origin's software or leads clients past the edge to it. */
const ORIGIN_INTERNALS: ReadonlySet<string> = new Set([
  'alt-svc',
  'server',
  'x-powered-by',
  'x-aspnet-version',
  'x-aspnetmvc-version',
  'x-runtime',
  'x-backend-server',
  'via',
]);

export interface ForwardContext {
  readonly edge: string;
  readonly authority: string;
  /** The client's address as X-Forwarded-For is to say it: the believed chain with the peer at its end. */
  readonly forwardedFor: string;
  /**
   * "cacheable": the answer may be stored, so nothing that only this client means (conditions, a range) goes along;
   * "bypass": the request goes through as it is.
   */
  readonly mode: 'cacheable' | 'bypass';
  /** Conditions of the cache's own, to revalidate what it holds. */
  readonly conditions: FieldList;
}

interface Forwarded {
  readonly scheme: RequestHead['scheme'];
  readonly version: RequestHead['version'];
  readonly context: ForwardContext;
  readonly out: FieldList;
}

const forwarded = new FieldMemo<Forwarded>();

/**
 * The field list for the origin, flat. Content-Length stays; the client of the origin frames the body afresh. The same list for
 * the same request.
 */
export function forwardRequestFields(request: RequestHead, context: ForwardContext): FieldList {
  const { fields, scheme, version } = request;
  const known = forwarded.find(fields);
  if (known?.scheme === scheme && known.version === version && sameContext(known.context, context)) return known.out;
  const out = Object.freeze(makeRequestFields(request, context));
  if (context.conditions.length === 0) forwarded.keep(fields, { scheme, version, context, out });
  return out;
}

function sameContext(a: ForwardContext, b: ForwardContext): boolean {
  return (
    a.mode === b.mode &&
    a.authority === b.authority &&
    a.forwardedFor === b.forwardedFor &&
    a.edge === b.edge &&
    b.conditions.length === 0
  );
}

function makeRequestFields(request: RequestHead, context: ForwardContext): string[] {
  const { fields } = request;
  const named = connectionNamed(fields);
  const out: string[] = ['host', context.authority];
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i] ?? '';
    if (name === 'host' || name === 'expect' || name === 'via' || name === 'cdn-loop' || name === 'forwarded') continue;
    if (HOP_BY_HOP.has(name) || named?.has(name) || OVERRIDES.has(name) || name.startsWith('x-forwarded-')) continue;
    if (context.mode === 'cacheable' && (CONDITIONAL.has(name) || name === 'range')) continue;
    out.push(name, fields[i + 1] ?? '');
  }
  for (const part of context.conditions) out.push(part);
  const via = combinedField(fields, 'via');
  const loop = combinedField(fields, 'cdn-loop');
  const received = `${request.version} ${context.edge}`;
  out.push('via', via === undefined ? received : `${via}, ${received}`);
  out.push('cdn-loop', loop === undefined ? loopToken(context.edge) : `${loop}, ${loopToken(context.edge)}`);
  out.push('x-forwarded-for', context.forwardedFor);
  out.push('x-forwarded-proto', request.scheme);
  out.push('x-forwarded-host', context.authority);
  return out;
}

/** This edge's name in CDN-Loop (RFC 8586). */
export function loopToken(edge: string): string {
  return `meridian-${edge}`;
}

/** The chain for X-Forwarded-For: what a trusted peer said, then the peer itself; what others say is dropped. */
export function forwardedFor(request: RequestHead, isTrusted: (address: string) => boolean): string {
  const said = combinedField(request.fields, 'x-forwarded-for');
  return said === undefined || said === '' || !isTrusted(request.peer) ? request.peer : `${said}, ${request.peer}`;
}

/**
 * An origin's answer as it may be stored and sent: no hop-by-hop fields, nothing about the origin's software, and a Date
 * (RFC 9110 section 6.6.1 asks a recipient with a clock to add a missing one; `date` is that).
 */
export function responseFields(fields: FieldList, date: string): FieldList {
  const known = answered.find(fields);
  if (known !== undefined) return known;
  const out: string[] = [];
  const dated = copyResponseFields(fields, out);
  if (!dated) out.push('date', date);
  Object.freeze(out);
  if (dated) answered.keep(fields, out);
  return out;
}

const answered = new FieldMemo<FieldList>();

/** Returns whether Date was among them. */
function copyResponseFields(fields: FieldList, out: string[]): boolean {
  const named = connectionNamed(fields);
  let dated = false;
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i] ?? '';
    if (HOP_BY_HOP.has(name) || named?.has(name) || ORIGIN_INTERNALS.has(name)) continue;
    if (name === 'date') dated = true;
    out.push(name, fields[i + 1] ?? '');
  }
  return dated;
}

/** What Connection takes out of a message, head and trailers (RFC 9110 section 7.6.1). */
export function connectionNamed(fields: FieldList): ReadonlySet<string> | undefined {
  const connection = combinedField(fields, 'connection');
  if (connection === undefined || connection === 'keep-alive' || connection === 'close') return undefined;
  const named = new Set<string>();
  for (const member of listMembers(connection)) {
    const name = member.toLowerCase();
    if (!NEVER_HOP_BY_HOP.has(name) && !name.startsWith('x-forwarded-')) named.add(name);
  }
  return named;
}

/**
 * Whether `vary` (names in lower case) has a field that the origin saw otherwise than the client sent it: requests that look
 * alike to the cache would then not be alike to the origin. X-Forwarded-Proto and -Host are written afresh too, but from
 * what the cache key holds.
 */
export function variesBeyondKey(vary: readonly string[], requestFields: FieldList): boolean {
  if (vary.length === 0) return false;
  const named = connectionNamed(requestFields);
  return vary.some((name) => name === 'x-forwarded-for' || named?.has(name) === true);
}

export type BodyFraming =
  | { readonly kind: 'length'; readonly length: number }
  | { readonly kind: 'chunked' }
  | { readonly kind: 'malformed'; readonly detail: string };

/**
 * How an origin's answer is framed towards the client: by its Content-Length where it has one, else in chunks. `fields`: as
 * received. A coding other than `chunked` would reach the client undone and unnamed (RFC 9112 section 6.1).
 */
export function responseFraming(fields: FieldList): BodyFraming {
  const known = framings.find(fields);
  if (known !== undefined) return known;
  const framing = readFraming(fields);
  framings.keep(fields, framing);
  return framing;
}

const framings = new FieldMemo<BodyFraming>();

function readFraming(fields: FieldList): BodyFraming {
  const coding = combinedField(fields, 'transfer-encoding');
  if (coding !== undefined && coding.toLowerCase() !== 'chunked') {
    return { kind: 'malformed', detail: `Transfer-Encoding "${coding.slice(0, 40)}"` };
  }
  const value = combinedField(fields, 'content-length');
  if (value === undefined) return { kind: 'chunked' };
  if (!/^\d{1,15}$/.test(value)) return { kind: 'malformed', detail: `Content-Length "${value.slice(0, 40)}"` };
  return { kind: 'length', length: Number(value) };
}
