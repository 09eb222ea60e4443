// Why a message is refused, with the status that says so (RFC 9110 section 15). After any of these the position in the octet
// stream is not to be trusted: the connection is closed once the refusal is sent (RFC 9112 section 9.6).

const STATUS = {
  // The request line (RFC 9112 section 3).
  'empty-lines': 400,
  'method-malformed': 400,
  'method-unknown': 501,
  'target-malformed': 400,
  'target-form': 400,
  'target-too-long': 414,
  'version-malformed': 400,
  'version-unsupported': 505,
  // Field lines (RFC 9112 section 5).
  'line-terminator': 400,
  'field-folded': 400,
  'field-name-malformed': 400,
  'field-space-before-colon': 400,
  'field-value-control': 400,
  'fields-too-many': 431,
  'fields-too-large': 431,
  // What the fields say (RFC 9110 sections 7.2 and 10.1.1, RFC 9112 section 6).
  'host-missing': 400,
  'host-repeated': 400,
  'host-malformed': 400,
  'content-length-malformed': 400,
  'content-length-repeated': 400,
  'transfer-encoding-unknown': 400,
  'transfer-encoding-repeated': 400,
  'transfer-encoding-in-1.0': 400,
  'transfer-encoding-and-content-length': 400,
  'expectation-unknown': 417,
  // A chunked body (RFC 9112 section 7.1).
  'chunk-size-malformed': 400,
  'chunk-size-too-large': 400,
  'chunk-extension': 400,
  'chunk-terminator': 400,
  'trailer-forbidden': 400,
} as const;

export type RefusalReason = keyof typeof STATUS;

export interface Refused {
  readonly kind: 'refused';
  readonly status: (typeof STATUS)[RefusalReason];
  readonly reason: RefusalReason;
}

/** The octets so far are the beginning of something that may be right: ask again when there are more. */
export interface Incomplete {
  readonly kind: 'incomplete';
}

export const INCOMPLETE: Incomplete = Object.freeze({ kind: 'incomplete' });

const refusals = new Map<RefusalReason, Refused>();
for (const [name, status] of Object.entries(STATUS)) {
  const reason = name as RefusalReason;
  refusals.set(reason, Object.freeze({ kind: 'refused', status, reason }));
}

/** The refusal for `reason`, the same object each time. */
export function refused(reason: RefusalReason): Refused {
  return refusals.get(reason) ?? { kind: 'refused', status: STATUS[reason], reason };
}
