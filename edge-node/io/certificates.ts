// TLS certificates from a folder: NAME.crt (the chain, leaf first) beside NAME.key, both PEM. A connection gets the one whose
// names cover what it asks for by SNI (RFC 6066 section 3, RFC 9525 section 6.3); without SNI, the one called "default", else
// the first by name. Read once: a changed folder is taken up by a restart.
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { createSecureContext, type SecureContext } from 'node:tls';

/** `message` names the file, says what is wrong with it and what to do. */
export class CertificateError extends Error {
  override readonly name = 'CertificateError';
}

export interface KeyPair {
  /** PEM. */
  readonly cert: string;
  readonly key: string;
}

/** Certificates that were read and checked: plain data, fit to be passed to other threads. */
export interface CertificateSet {
  readonly pairs: readonly NamedPair[];
  /** For clients that send no name. */
  readonly fallback: KeyPair;
  /** Sentences about what clients will not like. */
  readonly warnings: readonly string[];
}

export interface NamedPair extends KeyPair {
  readonly names: readonly string[];
  /** Unix milliseconds. */
  readonly validFrom: number;
  readonly validTo: number;
}

export interface Certificates {
  /** `name`: what the client asks for. Undefined: no certificate covers it, and the handshake is to end. */
  find(name: string): SecureContext | undefined;
  readonly fallback: KeyPair;
  /** Lower-case names that are covered, wildcards as they stand in the certificate. */
  readonly names: readonly string[];
}

/** Certificates in one folder. */
const MAX_CERTIFICATES = 10_000;

/** Reads and checks every pair in `folder`. Rejects with a CertificateError. `now`: Unix milliseconds. */
export async function readCertificates(folder: string, now: number): Promise<CertificateSet> {
  const files = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    throw new CertificateError(
      `${folder}: cannot be read (${error.code}); give a folder with NAME.crt and NAME.key files`,
    );
  });
  const bases = files.filter((file) => file.endsWith('.crt')).map((file) => file.slice(0, -4));
  if (bases.length > MAX_CERTIFICATES)
    throw new CertificateError(`${folder}: more than ${MAX_CERTIFICATES} certificates`);
  const pairs: NamedPair[] = [];
  const warnings: string[] = [];
  let fallback: KeyPair | undefined;
  for (const base of bases.toSorted()) {
    const file = path.join(folder, base);
    const pair = await loadPair(file);
    pairs.push(pair);
    if (fallback === undefined || base === 'default') fallback = pair;
    // One old certificate is no reason to leave the other hosts unserved.
    if (pair.validTo <= now) warnings.push(`${file}.crt expired on ${formatDay(pair.validTo)}; renew it`);
    else if (pair.validFrom > now) warnings.push(`${file}.crt is not valid before ${formatDay(pair.validFrom)}`);
  }
  if (fallback === undefined) throw new CertificateError(`${folder}: no NAME.crt is in it`);
  return { pairs, fallback: { cert: fallback.cert, key: fallback.key }, warnings };
}

/** Of two pairs that cover the same name, the one that is valid longer counts. */
export function openCertificates({ pairs, fallback }: CertificateSet): Certificates {
  const byName = new Map<string, NamedPair>();
  for (const pair of pairs) {
    for (const name of pair.names) if (pair.validTo > (byName.get(name)?.validTo ?? 0)) byName.set(name, pair);
  }
  // Made when first asked for: most of many hosts are not asked for soon.
  const contexts = new Map<NamedPair, SecureContext>();
  return {
    names: [...byName.keys()],
    fallback,
    find(asked) {
      const name = asked.toLowerCase();
      const dot = name.indexOf('.');
      const pair = byName.get(name) ?? (dot > 0 ? byName.get(`*${name.slice(dot)}`) : undefined);
      if (pair === undefined) return undefined;
      const context = contexts.get(pair) ?? createSecureContext({ cert: pair.cert, key: pair.key });
      contexts.set(pair, context);
      return context;
    },
  };
}

async function loadPair(base: string): Promise<NamedPair> {
  const cert = await readPem(`${base}.crt`);
  const key = await readPem(`${base}.key`);
  const leaf = attempt(
    () => new X509Certificate(cert),
    (problem) => `${base}.crt: not a PEM certificate (${problem})`,
  );
  const matches = attempt(
    () => leaf.checkPrivateKey(createPrivateKey(key)),
    (problem) => `${base}.key: not an unencrypted PEM private key (${problem})`,
  );
  if (!matches)
    throw new CertificateError(`${base}.key: not the key of ${base}.crt; put the pair that was issued together`);
  const names = namesOf(leaf);
  if (names.length === 0)
    throw new CertificateError(`${base}.crt: names no host (subjectAltName has no DNS or IP entry)`);
  attempt(
    () => createSecureContext({ cert, key }),
    (problem) => `${base}.crt and ${base}.key: not fit for TLS (${problem})`,
  );
  return { cert, key, names, validFrom: Date.parse(leaf.validFrom), validTo: Date.parse(leaf.validTo) };
}

async function readPem(file: string): Promise<string> {
  try {
    return await readFile(file, 'latin1');
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : 'unknown';
    throw new CertificateError(`${file}: cannot be read (${code}); each NAME.crt needs its NAME.key beside it`);
  }
}

function namesOf(leaf: X509Certificate): string[] {
  const names: string[] = [];
  for (const entry of (leaf.subjectAltName ?? '').split(', ')) {
    const name = /^(?:DNS|IP Address):(.+)$/.exec(entry)?.[1];
    if (name !== undefined) names.push(name.toLowerCase());
  }
  return names;
}

function attempt<T>(make: () => T, explain: (problem: string) => string): T {
  try {
    return make();
  } catch (error) {
    throw new CertificateError(explain(error instanceof Error ? error.message : String(error)));
  }
}

function formatDay(time: number): string {
  return new Date(time).toISOString().slice(0, 10);
}
