// Which fields of a response are kept (RFC 9111 section 3.1).
import { combinedField, type FieldList, listMembers, withoutFields } from '../fields.ts';
import type { CacheControl } from './cache-control.ts';

/** Of one connection or one proxy only; Age, because a hit states its own; Trailer, because trailers are not kept. */
const NEVER_STORED: ReadonlySet<string> = new Set([
  'age',
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authentication-info',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/**
 * A copy without the fields that must not be stored: those above, those that Connection names, and those that the qualified
 * forms of private and no-cache name (sections 5.2.2.4 and 5.2.2.7; a response without them needs no validation).
 */
export function storedFields(fields: FieldList, control?: CacheControl): string[] {
  const connection = combinedField(fields, 'connection');
  const named = connection === undefined ? [] : listMembers(connection.toLowerCase());
  const qualified = control === undefined ? [] : [...control.privateFields, ...control.noCacheFields];
  if (named.length === 0 && qualified.length === 0) return withoutFields(fields, NEVER_STORED);
  return withoutFields(fields, new Set([...NEVER_STORED, ...named, ...qualified]));
}
