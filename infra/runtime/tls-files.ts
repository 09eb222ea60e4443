// Certificates of the control channel (edge to control plane, command to control plane) from PEM files: read, checked, and read
// again while the process runs, so that a renewed certificate is taken up without a restart. Certificates that an edge shows to
// the clients of its sites are another matter (edge-node/io/certificates.ts).
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import type { Clock, Timer } from './clock.ts';
import type { Log } from './log.ts';

export interface TlsFiles {
  /** Certificates of the authorities that the other side's certificate must come from. */
  readonly ca: string;
  /** The own chain, leaf first, and its key; a client that has a token may do without. */
  readonly pair?: { readonly cert: string; readonly key: string };
}

export interface TlsMaterial {
  /** PEM. */
  readonly ca: Buffer;
  readonly pair?: { readonly cert: Buffer; readonly key: Buffer };
  /** Of the own certificate, as Node.js writes it; undefined without one, or when it has none. */
  readonly subjectAltName: string | undefined;
  /** Sentences about what will not work, or is not safe. */
  readonly warnings: readonly string[];
}

/** `message` names the file, says what is wrong with it and what to do. */
export class TlsFileError extends Error {
  override readonly name = 'TlsFileError';
}

/** A certificate that ends sooner is worth a warning. */
const SOON_MS = 7 * 24 * 3_600_000;
const FILE_BYTES = 1024 * 1024;
/** Between two looks at the files. */
const LOOK_MS = 10_000;

/** Reads and checks the files. `now`: Unix milliseconds. Rejects with a TlsFileError. */
export async function loadTls(files: TlsFiles, now: number): Promise<TlsMaterial> {
  const warnings: string[] = [];
  const ca = await readPem(files.ca);
  const authority = certificate(files.ca, ca);
  if (!authority.ca) warnings.push(`${files.ca} is no certificate of an authority; nothing that it signs is accepted`);
  warnings.push(...ageWarnings(files.ca, authority, now));
  if (!files.pair) return { ca, subjectAltName: undefined, warnings };
  const { cert, key } = files.pair;
  const pair = { cert: await readPem(cert), key: await readPem(key) };
  const leaf = certificate(cert, pair.cert);
  const matches = attempt(
    () => leaf.checkPrivateKey(createPrivateKey(pair.key)),
    (problem) => `${key}: not an unencrypted private key in PEM form (${problem})`,
  );
  if (!matches) throw new TlsFileError(`${key} is not the key of ${cert}; give the pair that was made together`);
  if (process.platform !== 'win32' && ((await stat(key)).mode & 0o077) !== 0) {
    warnings.push(`${key} can be read by others than its owner: chmod 600 ${key}`);
  }
  warnings.push(...ageWarnings(cert, leaf, now));
  return { ca, pair, subjectAltName: leaf.subjectAltName, warnings };
}

/** The newest material of the files. What cannot be used is logged, and the former goes on being used. */
export class TlsSource {
  readonly #files: TlsFiles;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #timer: Timer;
  readonly #listeners = new Set<(material: TlsMaterial) => void>();
  #current: TlsMaterial;
  #trouble: string | undefined;
  #warned: readonly string[] = [];
  #looking = false;

  private constructor(files: TlsFiles, current: TlsMaterial, clock: Clock, log: Log) {
    this.#files = files;
    this.#clock = clock;
    this.#log = log;
    this.#current = current;
    this.#warn(current);
    this.#timer = clock.every(LOOK_MS, () => void this.look());
  }

  /** Rejects with a TlsFileError. */
  static async open(files: TlsFiles, clock: Clock, log: Log): Promise<TlsSource> {
    return new TlsSource(files, await loadTls(files, clock.now()), clock, log);
  }

  get current(): TlsMaterial {
    return this.#current;
  }

  /** `listener` is called with each new material. Must not throw. */
  onChange(listener: (material: TlsMaterial) => void): void {
    this.#listeners.add(listener);
  }

  stop(): void {
    this.#timer.cancel();
  }

  /** Looks at the files now. Never rejects. */
  async look(): Promise<void> {
    if (this.#looking) return;
    this.#looking = true;
    try {
      const next = await loadTls(this.#files, this.#clock.now());
      this.#trouble = undefined;
      // Also of files that stay as they are: they grow old.
      this.#warn(next);
      if (isSame(next, this.#current)) return;
      this.#current = next;
      for (const listener of this.#listeners) listener(next);
      this.#log.info({ ...this.#files }, 'renewed certificates are in use for new connections');
    } catch (error) {
      const trouble = error instanceof Error ? error.message : String(error);
      if (trouble !== this.#trouble) this.#log.error({ reason: trouble }, 'certificates changed but cannot be used');
      this.#trouble = trouble;
    } finally {
      this.#looking = false;
    }
  }

  #warn({ warnings }: TlsMaterial): void {
    for (const warning of warnings) if (!this.#warned.includes(warning)) this.#log.warn({}, warning);
    this.#warned = warnings;
  }
}

function isSame(a: TlsMaterial, b: TlsMaterial): boolean {
  const equal = (x: Buffer | undefined, y: Buffer | undefined) => (x && y ? x.equals(y) : x === y);
  return equal(a.ca, b.ca) && equal(a.pair?.cert, b.pair?.cert) && equal(a.pair?.key, b.pair?.key);
}

function certificate(file: string, pem: Buffer): X509Certificate {
  return attempt(
    () => new X509Certificate(pem),
    (problem) => `${file}: not a certificate in PEM form (${problem})`,
  );
}

function ageWarnings(file: string, { validFrom, validTo }: X509Certificate, now: number): string[] {
  const from = Date.parse(validFrom);
  const to = Date.parse(validTo);
  if (to <= now) return [`${file} expired on ${day(to)}: the other side refuses it; renew it`];
  if (from > now) return [`${file} is not valid before ${day(from)}: the other side refuses it; check the clock`];
  return to - now < SOON_MS ? [`${file} expires on ${day(to)}; renew it`] : [];
}

const day = (time: number): string => new Date(time).toISOString().slice(0, 10);

async function readPem(file: string): Promise<Buffer> {
  try {
    if ((await stat(file)).size > FILE_BYTES) throw new TlsFileError(`${file}: too large for a PEM file`);
    return await readFile(file);
  } catch (error) {
    if (error instanceof TlsFileError) throw error;
    const code = error instanceof Error && 'code' in error ? error.code : 'unknown';
    throw new TlsFileError(`${file}: cannot be read (${code}); "meridian certs" makes certificates`);
  }
}

function attempt<T>(make: () => T, explain: (problem: string) => string): T {
  try {
    return make();
  } catch (error) {
    throw new TlsFileError(explain(error instanceof Error ? error.message : String(error)));
  }
}
