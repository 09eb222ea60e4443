// Clients of several regions, as the local stack and the compose file are asked by: whose requests should go where, and
// what an answer says about where it came from.

export interface Region {
  readonly city: string;
  /** An IPv4 and an IPv6 address that the DB-IP City Lite database places there. */
  readonly addresses: readonly [string, string];
  /** The origins of the local stack, nearest first along the great circle. */
  readonly origins: readonly [string, string];
}

export const REGIONS: readonly Region[] = [
  { city: 'London', addresses: ['81.2.69.142', '2a00:23c6::1'], origins: ['london', 'lagos'] },
  { city: 'Rio de Janeiro', addresses: ['200.147.35.149', '2804:14d:5c00::1'], origins: ['sao-paulo', 'lagos'] },
  { city: 'Lagos', addresses: ['41.203.64.1', '2c0f:f5c0::1'], origins: ['lagos', 'london'] },
  { city: 'Sydney', addresses: ['1.1.1.1', '2001:388::1'], origins: ['sydney', 'sao-paulo'] },
];

export const LONDON = '81.2.69.142';

export interface Answer {
  readonly status: number;
  /** The demo origin's own word. */
  readonly origin: string | null;
  readonly cacheStatus: string;
  readonly hit: boolean;
  readonly body: string;
}

/** GET `url` as a client at `address`. Rejects when there is no answer within ten seconds. */
export async function askAs(address: string, url: string): Promise<Answer> {
  const response = await fetch(url, {
    headers: { 'x-forwarded-for': address },
    redirect: 'manual',
    signal: AbortSignal.timeout(10_000),
  });
  const body = await response.text();
  const cacheStatus = response.headers.get('cache-status') ?? '';
  return {
    status: response.status,
    origin: response.headers.get('x-origin'),
    cacheStatus,
    hit: /; hit\b/.test(cacheStatus),
    body,
  };
}
