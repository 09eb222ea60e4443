// Distance along the great circle on a sphere of the Earth's mean radius. The Earth is not one: the result is within 0.6 %
// of the distance on the ellipsoid, far below the error of any address's location.
import type { Location } from './location.ts';

/** Kilometres: (2a + b) / 3 of the GRS 80 ellipsoid (H. Moritz, "Geodetic Reference System 1980", 2000). */
export const EARTH_RADIUS_KM = 6371.0088;

const RADIANS = Math.PI / 180;

/**
 * Kilometres, 0..20015.2, by the haversine formula (R. W. Sinnott, "Virtues of the Haversine", Sky and Telescope 68, 1984),
 * which keeps its precision for points that are close together. Infinity, so that it ranks last, when a coordinate is not
 * a finite number; never NaN.
 */
export function distanceKm(a: Location, b: Location): number {
  const latitude = Math.sin(((b.latitude - a.latitude) * RADIANS) / 2);
  const longitude = Math.sin(((b.longitude - a.longitude) * RADIANS) / 2);
  const haversine =
    latitude * latitude + Math.cos(a.latitude * RADIANS) * Math.cos(b.latitude * RADIANS) * longitude * longitude;
  if (Number.isNaN(haversine)) return Number.POSITIVE_INFINITY;
  // Rounding can carry antipodes past 1, where the arcsine has no value.
  return 2 * EARTH_RADIUS_KM * Math.asin(Math.sqrt(Math.min(1, haversine)));
}
