// Which objects clients ask for: the object of rank r with a probability in proportion to 1/r (Zipf's law, exponent 1). Pure.
import type { Random } from '../../infra/runtime/random.ts';

/** `count` ranks from 0 to `objects` - 1. */
export function zipf(objects: number, count: number, random: Random): readonly number[] {
  const cumulative = new Float64Array(objects);
  let total = 0;
  for (let rank = 0; rank < objects; rank += 1) {
    total += 1 / (rank + 1);
    cumulative[rank] = total;
  }
  return Array.from({ length: count }, () => firstAbove(cumulative, random.next() * total));
}

/** The index of the first of the ascending `values` that is greater than `wanted`, or of the last. */
function firstAbove(values: Float64Array, wanted: number): number {
  let low = 0;
  let high = values.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((values[middle] ?? 0) > wanted) high = middle;
    else low = middle + 1;
  }
  return low;
}
