// What comes whole and is too large to be kept so is kept in slices, on its way to the client: whoever asks for it again, or for a part
// of it, gets what is there of it from the cache.
import type { Storable, StoreWriter } from '../../decide/cache/entry.ts';
import { strongValidator } from '../../decide/cache/partial.ts';
import { offersParts } from '../../decide/cache/slices.ts';
import type { Ports } from '../../ports.ts';
import { type Exchange, required } from '../exchange.ts';
import { newGeneration, SliceIndex } from './slice-index.ts';

/** Undefined: it is not to be kept in slices, since parts of it could not be asked for. */
export function beginSlices(
  x: Exchange,
  ports: Ports,
  entry: Omit<Storable, 'body'>,
  length: number | undefined,
): StoreWriter | undefined {
  const { head } = entry;
  const bytes = required(x.route, 'route').cache.sliceBytes ?? 0;
  if (bytes === 0 || length === undefined || length <= bytes || head.status !== 200) return undefined;
  if (strongValidator(head) === undefined || !offersParts(head.fields)) return undefined;
  const slices = { bytes, length, generation: newGeneration(ports) };
  const kept = ports.cache.put({ ...entry, head: { ...head, slices }, body: Buffer.alloc(0) });
  if (kept === undefined) return undefined;
  const index = new SliceIndex(x, ports, kept, { ...head, slices }, true);
  return index.writer(0, head.barrier, head.requestedAt, head.receivedAt);
}
