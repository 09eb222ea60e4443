// In which order to try candidates for a client: the nearest first; those at the same distance in an order drawn by weight.
// It knows nothing of health: the caller walks the list and skips what is down, so that geography and health never mix.
//
// The work is split, because it runs for each request: `measure` does the trigonometry and the sorting, once per pair of
// place and pool, and may be kept; `drawOrder` takes what it gave and one random number, and costs nothing where no two
// candidates are at the same distance.
import { distanceKm } from './distance.ts';
import type { Location } from './location.ts';

export interface Candidate {
  readonly name: string;
  readonly location: Location;
  /** Share among candidates at the same distance, finite and not negative. 0: only after all others there. */
  readonly weight: number;
}

export interface Ranked<T> {
  readonly candidate: T;
  readonly distanceKm: number;
}

/** Candidates whose distance exceeds that of the nearest of a group by no more than this are one group. */
export const SAME_DISTANCE_KM = 1;

/** Distances from one place. Immutable; good for as long as the place and the candidates are. */
export interface Measured<T> {
  /** Nearest first; inside a group the weightless last, then by name, then by place in the input. */
  readonly ranked: readonly Ranked<T>[];
  /** Where in `ranked` each group with more than one member that has a weight begins, and where those members end. */
  readonly ties: readonly { readonly start: number; readonly end: number }[];
}

/** Nearest first, groups ordered by a weighted draw: `measure` and `drawOrder` in one. `draw` is uniform in [0, 1). */
export function rankByDistance<T extends Candidate>(
  from: Location,
  candidates: readonly T[],
  draw: number,
): readonly Ranked<T>[] {
  return drawOrder(measure(from, candidates), draw);
}

/** Distances from `from` to each candidate, sorted and grouped. */
export function measure<T extends Candidate>(from: Location, candidates: readonly T[]): Measured<T> {
  // Both sorts are stable, which is what makes equal names keep their order.
  const sorted = candidates
    .map((candidate) => ({ candidate, distanceKm: distanceKm(from, candidate.location) }))
    .sort((a, b) => (a.distanceKm === b.distanceKm ? 0 : a.distanceKm - b.distanceKm));
  const ranked: Ranked<T>[] = [];
  const ties: { start: number; end: number }[] = [];
  while (ranked.length < sorted.length) {
    const start = ranked.length;
    const reach = (sorted[start]?.distanceKm ?? 0) + SAME_DISTANCE_KM;
    let end = start + 1;
    while (end < sorted.length && (sorted[end]?.distanceKm ?? 0) <= reach) end += 1;
    const group = sorted.slice(start, end).sort((a, b) => byWeightThenName(a.candidate, b.candidate));
    ranked.push(...group);
    const weighted = group.filter(({ candidate }) => candidate.weight > 0).length;
    if (weighted > 1) ties.push({ start, end: start + weighted });
  }
  return { ranked, ties };
}

/**
 * The order for one request. Each place in a group goes to one of the candidates left with a probability proportional to
 * its weight. One number is enough for all of it: where it fell inside the share of the chosen is itself uniform, and
 * decides the next choice. Its 53 bits last for about eight choices among a hundred equals; beyond that, order tends to
 * that of names. `draw` is uniform in [0, 1); the same draw gives the same order.
 */
export function drawOrder<T extends Candidate>(measured: Measured<T>, draw: number): readonly Ranked<T>[] {
  if (measured.ties.length === 0) return measured.ranked;
  const order = [...measured.ranked];
  let left = draw;
  for (const { start, end } of measured.ties) {
    let total = 0;
    for (let i = start; i < end; i += 1) total += weightAt(order, i);
    for (let place = start; place < end - 1; place += 1) {
      let point = left * total;
      let chosen = place;
      while (chosen < end - 1 && point >= weightAt(order, chosen)) {
        point -= weightAt(order, chosen);
        chosen += 1;
      }
      const weight = weightAt(order, chosen);
      left = Math.min(point / weight, LARGEST_DRAW);
      total -= weight;
      const winner = order[chosen];
      if (winner) {
        order.copyWithin(place + 1, place, chosen);
        order[place] = winner;
      }
    }
  }
  return order;
}

// Rounding must not push what is left of a draw to 1, which belongs to nobody's share.
const LARGEST_DRAW = 1 - Number.EPSILON;

function weightAt<T extends Candidate>(order: readonly Ranked<T>[], index: number): number {
  return order[index]?.candidate.weight ?? 0;
}

function byWeightThenName(a: Candidate, b: Candidate): number {
  const weightless = Number(a.weight === 0) - Number(b.weight === 0);
  if (weightless !== 0) return weightless;
  return a.name < b.name ? -1 : Number(a.name > b.name);
}
