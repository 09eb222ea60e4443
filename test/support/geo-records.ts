// Records of geographic databases in both layouts.
import type { Location } from '../../geo/location.ts';
import { float, type MmdbValue, uint16, uint32 } from './mmdb-writer.ts';

/** Where an edge of these tests stands: Frankfurt. */
export const OWN: Location = { latitude: 50.11, longitude: 8.68 };

/** As in GeoIP2 and GeoLite2 City databases. */
export function nestedRecord(city: string, country: string, latitude: number, longitude: number): MmdbValue {
  return {
    city: { geoname_id: uint32(2_643_743), names: { de: `${city} (de)`, en: city } },
    country: { iso_code: country, is_in_european_union: false, names: { en: `Land of ${country}` } },
    location: { accuracy_radius: uint16(10), latitude, longitude, time_zone: 'Etc/UTC' },
    subdivisions: [{ iso_code: 'ENG' }],
  };
}

/** As in the city files made of DB-IP's data: coordinates in single precision. */
export function flatRecord(city: string, country: string, latitude: number, longitude: number): MmdbValue {
  return {
    city,
    country_code: country,
    latitude: float(latitude),
    longitude: float(longitude),
    postcode: '',
    state1: '',
    state2: '',
    timezone: '',
  };
}
