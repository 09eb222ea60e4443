// Whether a request may end in a tunnel (RFC 9110 section 7.8). Only WebSocket is passed on (RFC 6455 section 4.1): what is behind
// another protocol, HTTP/2 above all, would reach the origin past everything that this edge decides.
import type { RequestHead } from './admit.ts';
import { combinedField } from './fields.ts';

export const WEBSOCKET = 'websocket';

/** A GET in HTTP/1.1 without a body that names the one protocol, in Connection as well. */
export function asksForWebSocket({ method, version, hasBody, fields }: RequestHead): boolean {
  if (combinedField(fields, 'upgrade')?.toLowerCase() !== WEBSOCKET) return false;
  if (method !== 'GET' || version !== '1.1' || hasBody) return false;
  const options = combinedField(fields, 'connection')?.toLowerCase().split(',') ?? [];
  return options.some((option) => option.trim() === 'upgrade');
}
