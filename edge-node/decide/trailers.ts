// Trailers: whether a client takes those of an answer, and which are passed on, in either direction (RFC 9110 sections 6.5 and
// 10.1.4).
import { combinedField, type FieldList } from './fields.ts';
import { connectionNamed, OVERRIDES } from './forward.ts';

/**
 * What a trailer must not say, since a recipient had to know it before the body or acts on it as if it had: framing, routing,
 * what was asked, who may, how to read the content, how long to keep it (RFC 9110 section 6.5.1); what belongs to one
 * connection; and what tells about the origin.
 */
const FORBIDDEN: ReadonlySet<string> = new Set(
  [
    'age alt-svc authentication-info authorization cache-control cache-status cdn-loop clear-site-data connection',
    'content-disposition content-encoding content-language content-length content-location content-range',
    'content-security-policy content-type cookie date expect expires forwarded host if-match if-modified-since',
    'if-none-match if-range if-unmodified-since keep-alive location max-forwards pragma proxy-authenticate',
    'proxy-authentication-info proxy-authorization proxy-connection range refresh retry-after server set-cookie',
    'strict-transport-security te trailer transfer-encoding upgrade vary via warning www-authenticate',
  ].flatMap((line) => line.split(' ')),
);
const FORBIDDEN_PREFIX = /^(?:access-control|cross-origin|proxy|sec|x-forwarded)-/;

/** Those of an origin's trailers that may be sent on. `head`: the fields before the body, as they came. */
export function passableTrailers(trailers: FieldList, head: FieldList): FieldList {
  if (trailers.length === 0) return trailers;
  const named = connectionNamed(head);
  const passed: string[] = [];
  for (let i = 0; i < trailers.length; i += 2) {
    const name = trailers[i] ?? '';
    if (FORBIDDEN.has(name) || FORBIDDEN_PREFIX.test(name) || named?.has(name)) continue;
    passed.push(name, trailers[i + 1] ?? '');
  }
  return passed;
}

/**
 * Those of a request's trailers that may be sent on: what an origin could take for a field of the head, it could have been sent
 * there as well. `trailers`, `head`: names in lower case.
 */
export function passableRequestTrailers(trailers: FieldList, head: FieldList): FieldList {
  if (trailers.length === 0) return trailers;
  const passable = passableTrailers(trailers, head);
  const passed: string[] = [];
  for (let i = 0; i < passable.length; i += 2) {
    const name = passable[i] ?? '';
    // Many servers take "_" for "-".
    if (!OVERRIDES.has(name) && !name.includes('_')) passed.push(name, passable[i + 1] ?? '');
  }
  return passed;
}

/** Whether the client says that it does not lose them. */
export function takesTrailers(fields: FieldList): boolean {
  const te = combinedField(fields, 'te');
  if (te === undefined) return false;
  const codings = te.toLowerCase().split(',');
  return codings.some((coding) => coding.trim() === 'trailers');
}
