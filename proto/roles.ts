// The roles of those who administer, and how they are named: one source for certificates, tokens and what is asked of them.
import { Role } from './gen/meridian/v1/access.ts';

/** From the least to the most; each includes those before it. */
export const ROLES = ['read', 'purge', 'operate', 'administer'] as const;

export type RoleName = (typeof ROLES)[number];

/** Of whoever administers, in a certificate or a token. */
export const CLIENT_NAME: RegExp = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;

const WIRE: Readonly<Record<RoleName, Role>> = {
  read: Role.READ,
  purge: Role.PURGE,
  operate: Role.OPERATE,
  administer: Role.ADMINISTER,
};

export const roleToWire = (role: RoleName): Role => WIRE[role];

/** Undefined for what names no role. */
export const roleFromWire = (role: Role): RoleName | undefined => ROLES.find((name) => WIRE[name] === role);
