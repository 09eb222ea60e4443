// A control plane of a test behind TLS, and those who call it.
import type { TestContext } from 'node:test';
import type { TlsMaterial } from '../../infra/runtime/tls-files.ts';
import { client, filesIn, materialOf, server } from './certs.ts';
import { FakeClock } from './fake-clock.ts';
import { Admin, configuration, type Plane, startPlane } from './plane.ts';
import { tempFolder } from './temp.ts';

export const URIS = {
  london: 'meridian://edge/london',
  reader: 'meridian://read/reader',
  purger: 'meridian://purge/purger',
  operator: 'meridian://operate/operator',
  root: 'meridian://administer/root',
} as const;

export interface Logged {
  readonly reason?: string;
}

export interface TlsPlane extends Plane {
  /** Reasons of the warnings that it logged. */
  readonly reasons: string[];
  as(who: keyof typeof URIS | TlsMaterial | undefined, token?: string): Promise<Admin>;
}

/** With the edges london and tokyo, and a clock that stands at the present. */
export async function startTlsPlane(t: TestContext): Promise<TlsPlane> {
  const reasons: string[] = [];
  const warn = (fields: Logged): void => void reasons.push(fields.reason ?? '');
  const log = { debug() {}, info() {}, error() {}, warn };
  const tls = await filesIn(tempFolder(t), server());
  const clock = new FakeClock(Date.now());
  const plane = await startPlane(t, { tls, clock, log, bootstrap: configuration('london', 'tokyo') });
  const as: TlsPlane['as'] = async (who, token) => {
    const material = typeof who === 'object' ? who : await materialOf(who && client(URIS[who]));
    return new Admin(t, plane.adminPort, material, token);
  };
  return { ...plane, reasons, as };
}

export const ALL = { targets: [{ target: { $case: 'all', value: {} } as const }] };
