// Bearer tokens: what the store keeps of them, and what is written to make and revoke one. A token is
// "mrd_ID_SECRET", the secret 32 random bytes. Only its SHA-256 is kept: a slow hash protects secrets that people choose, but
// 256 random bits cannot be guessed at any speed, and a slow one at each call would be a way to keep a control plane busy.
import { LIMITS } from '../../proto/limits.ts';
import { CLIENT_NAME, type RoleName } from '../../proto/roles.ts';
import { type Transaction, tokenKey } from './keys.ts';
import { isRole } from './roles.ts';

export interface TokenRecord {
  readonly id: string;
  readonly name: string;
  readonly role: RoleName;
  /** SHA-256 of the secret's characters, hexadecimal. */
  readonly hash: string;
  readonly createdAtMs: number;
  /** Unix milliseconds; 0: never. */
  readonly expiresAtMs: number;
  /** The store's revision at which it was written. */
  readonly modRevision: number;
}

export type Tokens = ReadonlyMap<string, TokenRecord>;

export type TokenPlan =
  | { readonly kind: 'commit'; readonly transaction: Transaction; readonly token: TokenRecord }
  | { readonly kind: 'absent' | 'invalid'; readonly reason: string };

const TEXT = /^mrd_([0-9a-f]{16})_([A-Za-z0-9_-]{43})$/;
const ID = /^[0-9a-f]{16}$/;

export const tokenText = (id: string, secret: string): string => `mrd_${id}_${secret}`;

/** Undefined when it is not of the form. */
export function parseTokenText(text: string): { readonly id: string; readonly secret: string } | undefined {
  const [, id, secret] = TEXT.exec(text) ?? [];
  return id === undefined || secret === undefined ? undefined : { id, secret };
}

export interface TokenAsked {
  /** 16 hexadecimal digits, random. */
  readonly id: string;
  readonly hash: string;
  readonly name: string;
  /** Undefined: the request named none that there is. */
  readonly role: RoleName | undefined;
  /** 0: it does not expire. */
  readonly lifetimeMs: number;
}

export function planCreateToken(tokens: Tokens, asked: TokenAsked, nowMs: number): TokenPlan {
  const { id, hash, name, role, lifetimeMs } = asked;
  if (!CLIENT_NAME.test(name)) {
    const reason = 'name: expected 1 to 63 letters, digits, ".", "_" and "-", beginning with a letter or digit';
    return { kind: 'invalid', reason };
  }
  if (role === undefined) return { kind: 'invalid', reason: 'role: expected read, purge, operate or administer' };
  if (tokens.size >= LIMITS.tokens) {
    return { kind: 'invalid', reason: `there are ${tokens.size} tokens already, as many as there may be; revoke some` };
  }
  const expiresAtMs = lifetimeMs === 0 ? 0 : nowMs + lifetimeMs;
  if (!Number.isSafeInteger(expiresAtMs)) return { kind: 'invalid', reason: 'lifetime_ms: beyond what can be counted' };
  const token = { id, name, role, hash, createdAtMs: nowMs, expiresAtMs, modRevision: 0 };
  const key = tokenKey(id);
  const transaction: Transaction = {
    compares: [{ key, modRevision: 0 }],
    operations: [{ kind: 'put', key, value: encodeToken(token) }],
  };
  return { kind: 'commit', transaction, token };
}

export function planRevokeToken(tokens: Tokens, id: string): TokenPlan {
  const token = tokens.get(id);
  if (!token)
    return { kind: 'absent', reason: `there is no token "${id.slice(0, 40)}"; "meridian token list" shows them` };
  const key = tokenKey(id);
  const transaction: Transaction = {
    compares: [{ key, modRevision: token.modRevision }],
    operations: [{ kind: 'delete', key }],
  };
  return { kind: 'commit', transaction, token };
}

export const isExpired = (token: TokenRecord, nowMs: number): boolean =>
  token.expiresAtMs !== 0 && token.expiresAtMs <= nowMs;

function encodeToken({ name, role, hash, createdAtMs, expiresAtMs }: TokenRecord): string {
  return JSON.stringify({ name, role, hash, createdAtMs, expiresAtMs });
}

/** Throws on a value that is not what {@link encodeToken} makes: a token that is half understood must not let anyone in. */
export function decodeToken(id: string, text: string, modRevision: number): TokenRecord {
  const json: unknown = JSON.parse(text);
  if (typeof json !== 'object' || json === null) throw new Error('it is not a token');
  const fields: Readonly<Record<string, unknown>> = { ...json };
  const { name, role, hash, createdAtMs, expiresAtMs } = fields;
  if (!ID.test(id) || typeof name !== 'string' || typeof role !== 'string' || !isRole(role)) {
    throw new Error('it is not a token');
  }
  if (typeof hash !== 'string' || !/^[0-9a-f]{64}$/.test(hash)) throw new Error('its hash is none');
  if (!Number.isSafeInteger(expiresAtMs) || !Number.isSafeInteger(createdAtMs)) throw new Error('its times are none');
  return { id, name, role, hash, createdAtMs: Number(createdAtMs), expiresAtMs: Number(expiresAtMs), modRevision };
}
