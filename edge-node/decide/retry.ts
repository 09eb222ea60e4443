// What happens to a request when an origin failed it: another origin, or the end (RFC 9110 section 9.2.2: only what is
// idempotent may be sent twice, unless it is certain that the first one never arrived).
import type { FailureCode } from './errors.ts';

export interface OriginFailure {
  /** "connect": no byte of the request was sent; "head": sent, nothing came back; "body": the answer broke off. */
  readonly phase: 'connect' | 'head' | 'body';
  readonly code: Extract<FailureCode, `origin-${string}`>;
  /** For the log: "connection refused by 127.0.0.1:9001". */
  readonly detail: string;
  /**
   * The connection had stood idle, and ended before an octet of an answer: most likely the origin closed it just when the request
   * was sent, which says nothing about the origin.
   */
  readonly stale?: boolean;
}

const IDEMPOTENT: ReadonlySet<string> = new Set(['GET', 'HEAD', 'PUT', 'DELETE', 'OPTIONS']);

export type RetryDecision =
  /** "same": the same origin, on a new connection. */
  | { readonly kind: 'retry'; readonly origin: 'next' | 'same' }
  | {
      readonly kind: 'give-up';
      readonly reason: 'not-idempotent' | 'body-consumed' | 'answer-begun' | 'no-origin-left';
    };

export function decideRetry(
  failure: OriginFailure,
  method: string,
  bodyConsumed: boolean,
  originsLeft: number,
): RetryDecision {
  if (failure.phase === 'body') return { kind: 'give-up', reason: 'answer-begun' };
  if (bodyConsumed) return { kind: 'give-up', reason: 'body-consumed' };
  if (failure.phase === 'head' && !IDEMPOTENT.has(method)) return { kind: 'give-up', reason: 'not-idempotent' };
  if (failure.stale) return { kind: 'retry', origin: 'same' };
  if (originsLeft <= 0) return { kind: 'give-up', reason: 'no-origin-left' };
  return { kind: 'retry', origin: 'next' };
}
