// A folder of certificates: the authority's, and one for each holder with all that it needs, to be copied where the holder runs.
//
//   DIR/ca/ca.crt, ca.key                          the authority; its key signs, and stays where it is
//   DIR/HOLDER/ca.crt, tls.crt, tls.key            control-plane, edge-NAME, client-NAME
//
// What is there is kept. Everything is checked and made before anything is written.
import { X509Certificate } from 'node:crypto';
import { chmodSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { makeFolders } from '../../infra/runtime/folders.ts';
import { createAuthority, type Issued, issue, type Subject } from './authority.ts';

export interface Wanted {
  /** Folder within DIR. */
  readonly holder: string;
  readonly subject: Subject;
  /** It was not asked for by name: one that is there will do, whomever it is for. */
  readonly byDefault: boolean;
}

export interface Made {
  /** Path of the certificate. */
  readonly file: string;
  readonly outcome: 'made' | 'replaced' | 'kept';
  /** Names that it is for, as Node.js writes them; empty for the authority. */
  readonly names: string;
  /** Unix milliseconds. */
  readonly validTo: number;
}

export interface MakeOptions {
  /** Unix milliseconds. */
  readonly now: number;
  /** Of what is made, but for the authority. */
  readonly days: number;
  /** Replace what is asked for by name. The authority is never replaced. */
  readonly force: boolean;
}

/** `message` is for people. Nothing was written. */
export class CertificateFolderError extends Error {
  override readonly name = 'CertificateFolderError';
}

const DAY_MS = 24 * 3_600_000;
const AUTHORITY_DAYS = 3650;
/** For clocks that run behind. */
const BACKDATED_MS = 3_600_000;

interface Files {
  readonly cert: string;
  readonly key: string;
}

/** Rejects with a CertificateFolderError, or with the system's error when a file cannot be written. */
export async function makeCertificates(
  directory: string,
  wanted: readonly Wanted[],
  { now, days, force }: MakeOptions,
): Promise<Made[]> {
  const authorityFiles = filesOf(directory, 'ca', 'ca');
  const found = readAuthority(authorityFiles, now);
  const validity = { from: now - BACKDATED_MS, to: now + days * DAY_MS };
  const authority =
    found ??
    (await createAuthority('Meridian development authority', {
      from: validity.from,
      to: now + AUTHORITY_DAYS * DAY_MS,
    }));
  const made: Made[] = [describe(authorityFiles.cert, found ? 'kept' : 'made', authority.cert)];
  const writes: (() => void)[] = [];
  if (!found) writes.push(() => write(authorityFiles, authority));
  for (const { holder, subject, byDefault } of wanted) {
    const files = filesOf(directory, holder, 'tls');
    const existing = read(files.cert);
    const replace = existing !== undefined && force && !byDefault;
    if (existing !== undefined && !replace) {
      if (!byDefault) await checkExisting(files.cert, existing, authority, subject, now);
      made.push(describe(files.cert, 'kept', existing));
      continue;
    }
    const issued = await issueFrom(authority, authorityFiles, subject, validity);
    const ca = path.join(path.dirname(files.cert), 'ca.crt');
    writes.push(() => {
      write(files, issued);
      replaceFile(ca, authority.cert, 0o644);
    });
    made.push(describe(files.cert, replace ? 'replaced' : 'made', issued.cert));
  }
  for (const act of writes) act();
  return made;
}

function filesOf(directory: string, holder: string, base: string): Files {
  return { cert: path.join(directory, holder, `${base}.crt`), key: path.join(directory, holder, `${base}.key`) };
}

/** With an empty key when only the certificate is there: what is there already can still be kept. */
function readAuthority(files: Files, now: number): Issued | undefined {
  const cert = read(files.cert);
  const key = read(files.key);
  if (cert === undefined && key === undefined) return undefined;
  if (cert === undefined) throw new CertificateFolderError(`${files.key} is there, but ${files.cert} is not`);
  if (Date.parse(parse(files.cert, cert).validTo) <= now) {
    throw new CertificateFolderError(`${files.cert} has expired; begin anew in another folder (--dir)`);
  }
  return { cert, key: key ?? '' };
}

async function issueFrom(
  authority: Issued,
  files: Files,
  subject: Subject,
  validity: { from: number; to: number },
): Promise<Issued> {
  if (authority.key === '')
    throw new CertificateFolderError(`${files.key} is not there, so that nothing can be signed`);
  try {
    return await issue(authority, subject, validity);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new CertificateFolderError(`nothing can be signed with ${files.key}: ${reason}`);
  }
}

/** That what is there is what would be made. */
async function checkExisting(
  file: string,
  pem: string,
  authority: Issued,
  subject: Subject,
  now: number,
): Promise<void> {
  const existing = parse(file, pem);
  if (!existing.verify(new X509Certificate(authority.cert).publicKey)) {
    throw new CertificateFolderError(`${file} is there, but from another authority; --force replaces it`);
  }
  if (Date.parse(existing.validTo) <= now) {
    throw new CertificateFolderError(`${file} is there, but has expired; --force replaces it`);
  }
  const scratch = await createAuthority('scratch', { from: now, to: now + DAY_MS });
  const fresh = await issue(scratch, subject, { from: now, to: now + DAY_MS });
  const asked = new X509Certificate(fresh.cert).subjectAltName;
  if (existing.subjectAltName !== asked) {
    const detail = `${file} is there, but for ${existing.subjectAltName ?? 'no name'}, not for ${asked}`;
    throw new CertificateFolderError(`${detail}; --force replaces it`);
  }
}

function describe(file: string, outcome: Made['outcome'], pem: string): Made {
  const { subjectAltName, validTo } = parse(file, pem);
  return { file, outcome, names: subjectAltName ?? '', validTo: Date.parse(validTo) };
}

function parse(file: string, pem: string): X509Certificate {
  try {
    return new X509Certificate(pem);
  } catch {
    throw new CertificateFolderError(`${file} is there, but is no certificate; move it away`);
  }
}

function read(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw new CertificateFolderError(`${file} cannot be read: ${error instanceof Error ? error.message : error}`);
  }
}

/** The key first: whoever follows the files keeps the former pair until both have changed. */
function write({ cert, key }: Files, issued: Issued): void {
  makeFolders(path.dirname(cert));
  replaceFile(key, issued.key, 0o600);
  replaceFile(cert, issued.cert, 0o644);
}

function replaceFile(file: string, text: string, mode: number): void {
  const next = `${file}.new`;
  rmSync(next, { force: true });
  writeFileSync(next, text, { mode, flag: 'wx' });
  chmodSync(next, mode);
  renameSync(next, file);
}
