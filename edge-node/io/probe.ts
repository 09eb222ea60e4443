// One active health check: GET the path on a connection of its own, so that a probe also proves that the origin still
// accepts connections. A status of 200..399 within the timeout is a success; redirects are not followed (a redirect is an
// answer). Of the body at most 64 KiB are read, since the verdict stands once the head is there.
import type { LookupFunction } from 'node:net';
import { Client } from 'undici';
import type { Clock } from '../../infra/runtime/clock.ts';
import type { HealthCheck } from '../../proto/gen/meridian/v1/resources.ts';
import type { ProbeResult } from '../decide/health.ts';
import { guardedConnector } from './guarded-lookup.ts';

/** Never rejects. `signal`: give up, the result is not wanted any more. */
export type Probe = (address: string, check: HealthCheck, signal: AbortSignal) => Promise<ProbeResult>;

const BODY_BYTES = 64 * 1024;
const HEAD_BYTES = 16 * 1024;

/** `lookup`: from {@link guardedLookup}; share one, so that it can share queries. */
export function httpProbe(clock: Clock, lookup: LookupFunction): Probe {
  return async (address, check, signal) => {
    let timedOut = false;
    let client: Client | undefined;
    const giveUp = (): void => void client?.destroy().catch(() => undefined);
    const timer = clock.after(check.timeoutMs, () => {
      timedOut = true;
      giveUp();
    });
    signal.addEventListener('abort', giveUp, { once: true });
    try {
      client = new Client(address, {
        connect: guardedConnector({ timeout: check.timeoutMs, allowH2: false, maxCachedSessions: 0 }, lookup),
        pipelining: 0,
        headersTimeout: 0,
        bodyTimeout: 0,
        maxHeaderSize: HEAD_BYTES,
      });
      const { statusCode, body } = await client.request({
        method: 'GET',
        path: check.path,
        headers: { 'user-agent': 'meridian-probe', accept: '*/*' },
      });
      await body.dump({ limit: BODY_BYTES, signal }).catch(() => undefined);
      return { success: statusCode >= 200 && statusCode <= 399, detail: `status ${statusCode}` };
    } catch (error) {
      return { success: false, detail: timedOut ? `timed out after ${check.timeoutMs} ms` : describeFailure(error) };
    } finally {
      timer.cancel();
      signal.removeEventListener('abort', giveUp);
      giveUp();
    }
  };
}

const FAILURES: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'connection reset',
  EPIPE: 'connection reset',
  UND_ERR_SOCKET: 'connection closed before an answer',
  UND_ERR_CONNECT_TIMEOUT: 'no connection in time',
  ETIMEDOUT: 'no connection in time',
  EHOSTUNREACH: 'host unreachable',
  ENETUNREACH: 'network unreachable',
  ENOTFOUND: 'the name does not resolve',
  EAI_AGAIN: 'the resolver does not answer',
  UND_ERR_HEADERS_OVERFLOW: 'the header section is too large',
};

/** A few words for people, at most 200 characters. */
function describeFailure(error: unknown): string {
  if (!(error instanceof Error)) return 'failed';
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  return FAILURES[code] ?? (error.message === '' ? code || error.name : error.message).slice(0, 200);
}
