// What a geographic database says of an address, read from a record of either layout in use: nested, as in MaxMind's
// GeoIP2 and GeoLite2 City databases, or flat, as in the MMDB files made of DB-IP's city data.

/** A place on Earth, WGS 84, decimal degrees. */
export interface Location {
  /** -90..90. */
  readonly latitude: number;
  /** -180..180. */
  readonly longitude: number;
}

/** Where an address was found to be. Names are empty where the database has none. */
export interface GeoRecord {
  readonly location: Location;
  /** English name. */
  readonly city: string;
  /** ISO 3166-1 alpha-2. */
  readonly country: string;
}

/** `database`, or why the edge's own location stands in. */
export type PlaceSource = 'database' | 'private-address' | 'not-in-database' | 'no-database';

export interface Place extends GeoRecord {
  readonly source: PlaceSource;
}

/** A database's record as it was decoded; undefined when it has no usable coordinates. Never throws. */
export function parseRecord(record: unknown): GeoRecord | undefined {
  const coordinates = findCoordinates(record);
  if (!coordinates || !isObject(record)) return undefined;
  const { latitude, longitude } = coordinates;
  if (!isCoordinate(latitude, 90) || !isCoordinate(longitude, 180)) return undefined;
  const { city, country } = record;
  return {
    location: { latitude, longitude },
    city: text(isObject(city) && isObject(city.names) ? city.names.en : city),
    country: text(isObject(country) ? country.iso_code : record.country_code),
  };
}

/** The coordinates of a record as they stand there, usable or not; undefined when it has none. */
export function findCoordinates(record: unknown): { latitude: unknown; longitude: unknown } | undefined {
  if (!isObject(record)) return undefined;
  const holder = isObject(record.location) ? record.location : record;
  const { latitude, longitude } = holder;
  return latitude === undefined && longitude === undefined ? undefined : { latitude, longitude };
}

// Nobody measures a tenth of a millimetre: a number this small, and not zero, is eight bytes read the wrong way round.
const SMALLEST_DEGREES = 1e-9;

function isCoordinate(value: unknown, bound: number): value is number {
  if (typeof value !== 'number') return false;
  const size = Math.abs(value);
  return size <= bound && (size === 0 || size >= SMALLEST_DEGREES);
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
