// What of a body the request to an origin is for, where that is not what the client asks for.
import { type Asked, firstAsked, rangeValue } from '../../decide/cache/slices.ts';
import { combinedField, type FieldList, field } from '../../decide/fields.ts';
import { type Exchange, required } from '../exchange.ts';
import type { Engine } from '../run.ts';

/**
 * The part to ask an origin for; undefined: the request goes as the client made it. An answer to Authorization, or to who wants it kept
 * nowhere, will hardly be kept, and to ask for more than was asked for would be in vain.
 */
export function partToAsk(x: Exchange, { ports, unsliced }: Engine): Asked | undefined {
  const { requestClass, request, slicing } = x;
  if (requestClass?.kind !== 'lookup' || slicing.asItIs) return undefined;
  if (slicing.missing !== undefined) return slicing.missing;
  const bytes = x.stale?.head.slices?.bytes ?? required(x.route, 'route').cache.sliceBytes ?? 0;
  if (!requestClass.range || bytes === 0 || requestClass.directives.noStore) return undefined;
  if (field(request.fields, 'authorization') !== undefined) return undefined;
  if (unsliced.has(x.key, ports.clock.monotonic())) return undefined;
  return firstAsked(combinedField(request.fields, 'range') ?? '', bytes);
}

export function withRange(asked: Asked | undefined, conditions: FieldList): FieldList {
  return asked === undefined ? conditions : [...conditions, 'range', rangeValue(asked)];
}

/** What an origin answers that has no longer what an index says. */
const GONE: ReadonlySet<number> = new Set([404, 410, 412]);

/** Whether an answer with `status` is for the step `slice` to judge. */
export function isForSlices({ slicing }: Exchange, status: number): boolean {
  if (slicing.asked === undefined || slicing.asItIs) return false;
  return status === 206 || status === 200 || status === 416 || (slicing.index !== undefined && GONE.has(status));
}
