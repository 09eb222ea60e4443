// The scenario that runs when none is given: cities on every inhabited continent, against the local stack. The addresses are
// such that DB-IP's city data, which comes with the project, places them there.
import { HOST, type Layout } from '../stack/layout.ts';
import type { Client, EdgeUrl, Scenario } from './scenario.ts';

const CITIES: readonly (readonly [city: string, ...addresses: string[]])[] = [
  ['New York', '216.165.47.10', '2607:f600::1'],
  ['Los Angeles', '128.97.27.37', '2607:f010::1'],
  ['Mexico City', '132.248.10.7', '2001:1218::1'],
  ['Rio de Janeiro', '200.147.35.149', '2804:14d:5c00::1'],
  ['Buenos Aires', '157.92.4.1'],
  ['London', '81.2.69.142', '2a00:23c6::1'],
  ['Berlin', '130.149.7.201', '2001:638:809::1'],
  ['Cairo', '193.227.50.1'],
  ['Lagos', '41.203.64.1', '2c0f:f5c0::1'],
  ['Johannesburg', '146.141.13.50'],
  ['Mumbai', '158.144.1.1', '2405:200::1'],
  ['Singapore', '137.132.21.27', '2001:df0:21a::1'],
  ['Tokyo', '133.11.0.1', '2001:200:180::1'],
  ['Sydney', '1.1.1.1', '2001:388::1'],
  ['Auckland', '130.216.1.1'],
];

const clients: Client[] = CITIES.map(([name, ...addresses]) => ({ name, addresses, rate: 20 }));

export const DEMO: Scenario = {
  name: 'cities',
  seed: 1,
  durationMs: 10_000,
  host: 'demo.localhost',
  clients,
  paths: { count: 200, zipf: 1, prefix: '/simulation/' },
  connections: 8,
  timeoutMs: 5000,
  originField: 'X-Origin',
  events: [],
};

/** Where the edges of a local stack are reached; those of docker-compose.yml have the same names and ports. */
export function localEdges({ edges }: Layout): EdgeUrl[] {
  return edges.map(({ name, port }) => ({ name, url: `http://${HOST}:${port}` }));
}
