// Whether a request may be answered from the cache at all (RFC 9111 section 4), from its method and fields.
import { combinedField, type FieldList } from '../fields.ts';
import { WEBSOCKET } from '../upgrade.ts';
import { type CacheControl, NO_DIRECTIVES, parseCacheControl } from './cache-control.ts';
import { type BypassRules, isBypassed } from './policy.ts';
import { type Conditions, conditionsOf } from './validation.ts';

export type BypassReason = 'policy' | 'method' | RequestBar | 'precondition' | 'bypass-rule';

/** What in a GET makes its answer depend on more than the key and Vary. */
export type RequestBar = 'has-request-body' | 'method-override' | 'upgrade';

export type RequestClass =
  | {
      readonly kind: 'lookup';
      readonly directives: CacheControl;
      /**
       * It asks for a part (RFC 9110 section 14.2; with GET alone). What is stored gives it; on a miss an origin is asked for the
       * slices that have it, or, on a route without slices, for the part as it is, of which nothing is then stored.
       */
      readonly range: boolean;
      /** Undefined: none that a cache could judge. */
      readonly conditions: Conditions | undefined;
    }
  | { readonly kind: 'bypass'; readonly reason: BypassReason };

/** Of a request that says nothing to caches. */
export const PLAIN_LOOKUP = lookup(false);
/** ... and for a part. */
export const RANGE_LOOKUP = lookup(true);
const BYPASS = Object.freeze({
  policy: bypass('policy'),
  method: bypass('method'),
  'has-request-body': bypass('has-request-body'),
  'method-override': bypass('method-override'),
  upgrade: bypass('upgrade'),
  precondition: bypass('precondition'),
  'bypass-rule': bypass('bypass-rule'),
});

function lookup(range: boolean): RequestClass {
  return Object.freeze({ kind: 'lookup', directives: NO_DIRECTIVES, range, conditions: undefined });
}

function bypass(reason: BypassReason): RequestClass {
  return Object.freeze({ kind: 'bypass', reason });
}

/**
 * GET and HEAD look up, HEAD among the stored answers to GET (RFC 9110 section 9.3.2). `fields`: names in lower case.
 * A precondition that only an origin can judge (If-Match, If-Unmodified-Since: RFC 9111 section 4.3.2) goes to the origin.
 * `target`: canonical; only rules of the route look at it.
 */
export function classifyRequest(
  method: string,
  fields: FieldList,
  policy: { readonly enabled: boolean; readonly bypass?: BypassRules | undefined },
  target = '',
): RequestClass {
  if (!policy.enabled) return BYPASS.policy;
  if (method !== 'GET' && method !== 'HEAD') return BYPASS.method;
  let special = false;
  let range = false;
  let conditional = false;
  let precondition = false;
  for (let i = 0; i < fields.length; i += 2) {
    switch (fields[i]) {
      case 'cache-control':
      case 'pragma':
        special = true;
        break;
      case 'range':
        range = method === 'GET';
        break;
      case 'if-none-match':
      case 'if-modified-since':
        conditional = true;
        break;
      case 'if-match':
      case 'if-unmodified-since':
        precondition = true;
        break;
      default:
    }
  }
  const bar = requestBar(fields);
  if (bar !== undefined) return BYPASS[bar];
  if (precondition) return BYPASS.precondition;
  if (policy.bypass !== undefined && isBypassed(policy.bypass, fields, target)) return BYPASS['bypass-rule'];
  if (!special && !conditional) return range ? RANGE_LOOKUP : PLAIN_LOOKUP;
  return {
    kind: 'lookup',
    directives: special ? requestDirectives(fields) : NO_DIRECTIVES,
    range,
    conditions: conditional ? conditionsOf(fields) : undefined,
  };
}

/** Cache-Control of a request; without one, `Pragma: no-cache` means the same as there (RFC 9111 section 5.4). */
export function requestDirectives(fields: FieldList): CacheControl {
  const control = combinedField(fields, 'cache-control');
  if (control !== undefined) return parseCacheControl(control);
  const pragma = combinedField(fields, 'pragma');
  return pragma === undefined || !parseCacheControl(pragma).noCache ? NO_DIRECTIVES : parseCacheControl('no-cache');
}

/**
 * A body of a GET has no meaning that a cache could key on (RFC 9110 section 9.3.1), and a field that claims another method
 * may make an origin answer something else: neither may come from, or get into, a shared cache. Nor may the answer to a request
 * for a tunnel.
 */
export function requestBar(fields: FieldList): RequestBar | undefined {
  for (let i = 0; i < fields.length; i += 2) {
    switch (fields[i]) {
      case 'transfer-encoding':
        return 'has-request-body';
      case 'content-length':
        if (fields[i + 1] !== '0') return 'has-request-body';
        break;
      case 'x-http-method-override':
      case 'x-http-method':
      case 'x-method-override':
        return 'method-override';
      case 'upgrade':
        if (fields[i + 1]?.toLowerCase() === WEBSOCKET) return 'upgrade';
        break;
      default:
    }
  }
  return undefined;
}

/**
 * RFC 9111 section 4.4: whether the answer `status` to `method` makes what is stored under the same URL invalid: any
 * non-error answer to a method not known to be safe.
 */
export function invalidates(method: string, status: number): boolean {
  if (status < 200 || status >= 400) return false;
  return method !== 'GET' && method !== 'HEAD' && method !== 'OPTIONS' && method !== 'TRACE';
}
