// Which origins a request may go to: those of its pool by distance from the client, as far as they are up.
import { type Candidates, candidates } from '../decide/order.ts';
import type { Ports } from '../ports.ts';
import { type Exchange, required } from './exchange.ts';

/** Origins that one request may try. */
export const MAX_ATTEMPTS = 5;

/** Of those that are up no more than {@link MAX_ATTEMPTS}. */
export function originsFor(x: Exchange, ports: Ports): Candidates {
  const { pool } = required(x.route, 'route');
  const place = ports.locate(x.addressOfClient());
  const ranked = required(x.serving, 'snapshot').order.ranked(pool, place.location, ports.random.next());
  const now = ports.clock.monotonic();
  return candidates(ranked, (o) => ports.health.status(o.pool, o.name, now).status === 'up', MAX_ATTEMPTS);
}
