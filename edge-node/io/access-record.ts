// What the access log says of an exchange.
import { field } from '../decide/fields.ts';
import type { Settled } from '../ports.ts';
import type { AccessRecord } from './access-line.ts';

/** `now`: Unix milliseconds; `durationMs`: from the request's arrival to the answer's end; `share`: as in AccessRecord. */
export function accessRecord(
  exchange: Settled,
  bytes: number,
  durationMs: number,
  now: number,
  share?: number,
): AccessRecord {
  const { request, admitted } = exchange;
  return {
    time: now - durationMs,
    client: exchange.addressOfClient(),
    method: request.method,
    host: admitted?.host ?? field(request.fields, 'host') ?? '',
    target: admitted?.target ?? request.target,
    status: exchange.status,
    bytes,
    durationMs,
    cache: exchange.cacheStatus,
    outcome: exchange.outcome,
    site: exchange.site?.name,
    origin: exchange.origin?.name,
    failure: exchange.failure?.code,
    userAgent: field(request.fields, 'user-agent'),
    referer: field(request.fields, 'referer'),
    version: exchange.serving?.snapshot.version.revision,
    share,
  };
}
