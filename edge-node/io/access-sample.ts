// Which exchanges the access log gets, where it is not to get all: a share of them, drawn, and every one that the edge or an
// origin failed, since those are rare and are what one looks for.
import type { Random } from '../../infra/runtime/random.ts';
import { FAILURES } from '../decide/errors.ts';
import type { Settled } from '../ports.ts';
import type { AccessSink } from './ledger.ts';

/** `share`: of the exchanges, 0..1. With 1 it is `sink` itself, so that nothing is paid for. */
export function sampled(sink: AccessSink, share: number, random: Random): AccessSink {
  if (share >= 1) return sink;
  return (exchange, bytes, durationMs) => {
    if (isFailed(exchange)) sink(exchange, bytes, durationMs);
    else if (random.next() < share) sink(exchange, bytes, durationMs, share);
  };
}

/** What clients bring about themselves is not among it: it would let them write as much as they like. */
function isFailed({ status, failure }: Settled): boolean {
  return failure === undefined ? status >= 500 : FAILURES[failure.code].source !== 'client';
}
