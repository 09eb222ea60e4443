// A certificate for the TLS rows, made for this run alone: ECDSA on P-256, as certificate authorities issue them by default.
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Certificate } from './peers/peer.ts';

/** Makes `directory` and the files in it. Throws when openssl fails. */
export function makeCertificate(directory: string): Certificate {
  mkdirSync(directory, { recursive: true });
  const certificate = path.join(directory, 'localhost.crt');
  const key = path.join(directory, 'localhost.key');
  const both = path.join(directory, 'localhost.pem');
  const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'];
  const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-noenc', '-days', '2'];
  execFileSync('openssl', ['req', '-x509', ...kind, ...subject, '-keyout', key, '-out', certificate], {
    stdio: ['ignore', 'ignore', 'pipe'],
    timeout: 30_000,
  });
  writeFileSync(both, readFileSync(certificate, 'utf8') + readFileSync(key, 'utf8'), { mode: 0o600 });
  return { directory, certificate, key, both };
}
