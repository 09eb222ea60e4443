// TLS certificates from a folder: NAME.crt (the chain, leaf first) beside NAME.key, both PEM. A connection gets the one whose
// names cover what it asks for by SNI (RFC 6066 section 3); without SNI, the one called "default", else the first by name.
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { createSecureContext, type SecureContext } from 'node:tls';

/** `message` names the file, says what is wrong with it and what to do. */
export class CertificateError extends Error {
  override readonly name = 'CertificateError';
}

export interface Certificates {
  /** Undefined: no certificate covers the name, and the handshake is to end. `name` empty: the client sent none. */
  find(name: string): SecureContext | undefined;
  /** Lower-case names that are covered, wildcards as they stand in the certificate. */
  readonly names: readonly string[];
}

interface Loaded {
  readonly context: SecureContext;
  readonly names: readonly string[];
}

/** Certificates in one folder. */
const MAX_CERTIFICATES = 10_000;

/** Reads and checks every pair in `folder`. Rejects with a CertificateError; `now`: Unix milliseconds. */
export async function loadCertificates(folder: string, now: number): Promise<Certificates> {
  const files = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    throw new CertificateError(`${folder}: cannot be read (${error.code}); give a folder with NAME.crt and NAME.key files`);
  });
  const bases = files.filter((file) => file.endsWith('.crt')).map((file) => file.slice(0, -4));
  if (bases.length === 0) throw new CertificateError(`${folder}: no NAME.crt is in it`);
  if (bases.length > MAX_CERTIFICATES) throw new CertificateError(`${folder}: more than ${MAX_CERTIFICATES} certificates`);
  const byName = new Map<string, SecureContext>();
  let fallback: SecureContext | undefined;
  for (const base of bases.toSorted()) {
    const { context, names } = await loadPair(path.join(folder, base), now);
    for (const name of names) byName.set(name, context);
    if (fallback === undefined || base === 'default') fallback = context;
  }
  return {
    names: [...byName.keys()],
    find(asked) {
      if (asked === '') return fallback;
      const name = asked.toLowerCase();
      return byName.get(name) ?? byName.get(`*${name.slice(name.indexOf('.'))}`);
    },
  };
}

async function loadPair(base: string, now: number): Promise<Loaded> {
  const cert = await readPem(`${base}.crt`);
  const key = await readPem(`${base}.key`);
  let leaf: X509Certificate;
  try {
    leaf = new X509Certificate(cert);
  } catch (error) {
    throw new CertificateError(`${base}.crt: not a PEM certificate (${messageOf(error)})`);
  }
  let matches: boolean;
  try {
    matches = leaf.checkPrivateKey(createPrivateKey(key));
  } catch (error) {
    throw new CertificateError(`${base}.key: not an unencrypted PEM private key (${messageOf(error)})`);
  }
  if (!matches) throw new CertificateError(`${base}.key: not the key of ${base}.crt; put the pair that was issued together`);
  if (Date.parse(leaf.validTo) <= now) {
    throw new CertificateError(`${base}.crt: expired on ${leaf.validTo}; replace it with a renewed one`);
  }
  const names = namesOf(leaf);
  if (names.length === 0) throw new CertificateError(`${base}.crt: names no host (subjectAltName has no DNS or IP entry)`);
  // At least TLS 1.2 with forward secrecy; Node's own list has no weaker cipher in it.
  return { context: createSecureContext({ cert, key, minVersion: 'TLSv1.2' }), names };
}

async function readPem(file: string): Promise<Buffer> {
  try {
    return await readFile(file);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : 'unknown';
    throw new CertificateError(`${file}: cannot be read (${code}); each NAME.crt needs its NAME.key beside it`);
  }
}

function namesOf(leaf: X509Certificate): string[] {
  const names: string[] = [];
  for (const entry of (leaf.subjectAltName ?? '').split(', ')) {
    const dns = /^DNS:(.+)$/.exec(entry)?.[1] ?? /^IP Address:(.+)$/.exec(entry)?.[1];
    if (dns !== undefined) names.push(dns.toLowerCase());
  }
  return names;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
