// Why a message is refused, a client's or an origin's, and what the client is told (RFC 9110 section 15). After any of these the position in the octet
// stream is not to be trusted: the connection is closed once the refusal is sent (RFC 9112 section 9.6).
import { FAILURES, type FailureCode } from '../errors.ts';

const CODES = {
  // The request line (RFC 9112 section 3).
  'empty-lines': 'malformed-request',
  'method-malformed': 'malformed-request',
  'method-unknown': 'method-unknown',
  'target-malformed': 'malformed-target',
  'target-form': 'malformed-target',
  'target-too-long': 'target-too-long',
  'version-malformed': 'malformed-request',
  'version-unsupported': 'version-unsupported',
  // Field lines (RFC 9112 section 5).
  'line-terminator': 'malformed-request',
  'field-folded': 'malformed-request',
  'field-name-malformed': 'malformed-request',
  'field-space-before-colon': 'malformed-request',
  'field-value-control': 'malformed-request',
  'fields-too-many': 'fields-too-large',
  'fields-too-large': 'fields-too-large',
  // What the fields say (RFC 9110 sections 7.2 and 10.1.1, RFC 9112 section 6).
  'host-missing': 'malformed-host',
  'host-repeated': 'malformed-host',
  'host-malformed': 'malformed-host',
  'content-length-malformed': 'malformed-request',
  'content-length-repeated': 'malformed-request',
  'transfer-encoding-unknown': 'malformed-request',
  'transfer-encoding-repeated': 'malformed-request',
  'transfer-encoding-in-1.0': 'malformed-request',
  'transfer-encoding-and-content-length': 'malformed-request',
  'expectation-unknown': 'expectation-failed',
  // A chunked body (RFC 9112 section 7.1).
  'chunk-size-malformed': 'malformed-request',
  'chunk-size-too-large': 'malformed-request',
  'chunk-extension': 'malformed-request',
  'chunk-terminator': 'malformed-request',
  'trailer-forbidden': 'malformed-request',
  // What only an answer can have wrong (RFC 9112 sections 4 and 6.3).
  'status-line-malformed': 'origin-malformed',
  'status-out-of-range': 'origin-malformed',
  'body-where-none-may-be': 'origin-malformed',
  'informational-alone': 'origin-malformed',
} as const satisfies Readonly<Record<string, FailureCode>>;

export type RefusalReason = keyof typeof CODES;

export interface Refused {
  readonly kind: 'refused';
  readonly reason: RefusalReason;
  /** What the client is told. */
  readonly code: FailureCode;
  readonly status: number;
}

/** The octets so far are the beginning of something that may be right: ask again when there are more. */
export interface Incomplete {
  readonly kind: 'incomplete';
}

export const INCOMPLETE: Incomplete = Object.freeze({ kind: 'incomplete' });

const refusals = new Map<RefusalReason, Refused>();

/** The refusal for `reason`, the same object each time. */
export function refused(reason: RefusalReason): Refused {
  let refusal = refusals.get(reason);
  if (refusal === undefined) {
    const code = CODES[reason];
    refusal = Object.freeze({ kind: 'refused', reason, code, status: FAILURES[code].status });
    refusals.set(reason, refusal);
  }
  return refusal;
}
