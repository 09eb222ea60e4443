// Which fields of a response are kept (RFC 9111 section 3.1).
import { combinedField, type FieldList, listMembers, withoutFields } from '../fields.ts';

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

/** A copy without the fields that must not be stored, among them those that Connection names. */
export function storedFields(fields: FieldList): string[] {
  const connection = combinedField(fields, 'connection');
  if (connection === undefined) return withoutFields(fields, NEVER_STORED);
  return withoutFields(fields, new Set([...NEVER_STORED, ...listMembers(connection.toLowerCase())]));
}
