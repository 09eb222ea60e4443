// Makes X.509 certificates (RFC 5280): an authority, and what it signs for control planes, edges and those who administer. For
// development and small installations; the names are those that control-plane/decide/identity.ts reads.
import { createPrivateKey, KeyObject, randomBytes, webcrypto, X509Certificate } from 'node:crypto';
import * as x509 from '@peculiar/x509';

/** PEM. */
export interface Issued {
  readonly cert: string;
  /** PKCS #8. */
  readonly key: string;
}

export interface Validity {
  /** Unix milliseconds. */
  readonly from: number;
  readonly to: number;
}

export interface Subject {
  /** For people. */
  readonly commonName: string;
  /** `server`: shown to whoever connects; `client`: shown when connecting. One that is both could pass for either. */
  readonly use: 'server' | 'client';
  /** Hostnames, addresses and URIs that it is for. */
  readonly names: readonly { readonly type: 'dns' | 'ip' | 'url'; readonly value: string }[];
}

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;

type KeyPair = webcrypto.CryptoKeyPair;

/** An authority that signs leaves and no further authorities. */
export async function createAuthority(commonName: string, { from, to }: Validity): Promise<Issued> {
  const keys = await generateKeys();
  const certificate = await x509.X509CertificateGenerator.createSelfSigned(
    {
      serialNumber: serialNumber(),
      name: [{ CN: [commonName] }],
      notBefore: new Date(from),
      notAfter: new Date(to),
      signingAlgorithm: ALGORITHM,
      keys,
      extensions: [
        new x509.BasicConstraintsExtension(true, 0, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
        await x509.SubjectKeyIdentifierExtension.create(keys.publicKey, false, webcrypto),
      ],
    },
    webcrypto,
  );
  return { cert: `${certificate.toString('pem')}\n`, key: exportKey(keys.privateKey) };
}

/** Throws an Error when the authority's files are not a pair. */
export async function issue(authority: Issued, subject: Subject, { from, to }: Validity): Promise<Issued> {
  const parent = new x509.X509Certificate(authority.cert);
  const privateKey = createPrivateKey(authority.key);
  if (!new X509Certificate(authority.cert).checkPrivateKey(privateKey)) {
    throw new Error("the authority's key is not that of its certificate");
  }
  const keys = await generateKeys();
  const { serverAuth, clientAuth } = x509.ExtendedKeyUsage;
  const certificate = await x509.X509CertificateGenerator.create(
    {
      serialNumber: serialNumber(),
      subject: [{ CN: [subject.commonName] }],
      issuer: parent.subject,
      notBefore: new Date(from),
      notAfter: new Date(Math.min(to, parent.notAfter.getTime())),
      signingAlgorithm: ALGORITHM,
      publicKey: keys.publicKey,
      signingKey: privateKey.toCryptoKey(ALGORITHM, true, ['sign']),
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        new x509.ExtendedKeyUsageExtension([subject.use === 'server' ? serverAuth : clientAuth], false),
        new x509.SubjectAlternativeNameExtension([...subject.names], false),
        await x509.SubjectKeyIdentifierExtension.create(keys.publicKey, false, webcrypto),
        await x509.AuthorityKeyIdentifierExtension.create(parent.publicKey, false, webcrypto),
      ],
    },
    webcrypto,
  );
  return { cert: `${certificate.toString('pem')}\n`, key: exportKey(keys.privateKey) };
}

async function generateKeys(): Promise<KeyPair> {
  return webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
}

function exportKey(key: webcrypto.CryptoKey): string {
  return KeyObject.from(key).export({ type: 'pkcs8', format: 'pem' }).toString();
}

/** 16 random bytes, as a positive integer (RFC 5280 section 4.1.2.2). */
function serialNumber(): string {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return bytes.toString('hex');
}
