// Who may see inside: who shows the secret that the edge was started with. Looked for only on an edge that has one.
import { createHash, timingSafeEqual } from 'node:crypto';
import { isIPv4 } from 'node:net';
import type { Metrics } from '../../infra/runtime/metrics.ts';
import type { RequestHead } from '../decide/admit.ts';
import { DEBUG_FIELD } from '../decide/debug-text.ts';
import { combinedField } from '../decide/fields.ts';

/** Characters of a secret. */
export const DEBUG_TOKEN = { min: 32, max: 256 };

/** What is wrong with a secret, if anything is. */
export function debugTokenProblem(token: string): string | undefined {
  const { min, max } = DEBUG_TOKEN;
  if (/^[\x21-\x7e]*$/.test(token) && token.length >= min && token.length <= max) return undefined;
  return `expected one line of ${min} to ${max} letters, digits and signs without spaces, such as "openssl rand -hex 32" prints`;
}

export class DebugToken {
  readonly #digest: Buffer;
  readonly #metrics: Metrics;

  constructor(token: string, metrics: Metrics) {
    this.#digest = digest(token);
    this.#metrics = metrics;
  }

  /**
   * Whether the request shows the secret, on a way that nobody else can read: TLS, this machine, or from a peer that is trusted.
   * It takes as long for a secret that is nearly right as for any other.
   */
  opens({ fields, scheme, peer }: RequestHead, isTrusted: (peer: string) => boolean): boolean {
    const said = combinedField(fields, DEBUG_FIELD);
    if (said === undefined) return false;
    const secret = timingSafeEqual(digest(said), this.#digest);
    const hidden = scheme === 'https' || isLoopback(peer) || isTrusted(peer);
    this.#count(secret ? (hidden ? 'answered' : 'in-clear-text') : 'wrong-secret');
    return secret && hidden;
  }

  #count(outcome: string): void {
    const help = 'Requests with a Meridian-Debug field, by what came of it.';
    this.#metrics.counter('meridian_debug_requests_total', help, { outcome }).add();
  }
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

function isLoopback(peer: string): boolean {
  return peer === '::1' || (isIPv4(peer) && peer.startsWith('127.'));
}
