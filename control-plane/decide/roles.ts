// Who may ask what of the admin API. Each role includes those before it.
import type { AdminServiceService } from '../../proto/gen/meridian/v1/admin.ts';
import { ROLES, type RoleName } from '../../proto/roles.ts';

export type AdminRpc = keyof typeof AdminServiceService;

/** What a call needs: `read` changes nothing, `administer` changes who may do what. A new call has no role until it is here. */
export const ROLE_NEEDED: Readonly<Record<AdminRpc, RoleName>> = {
  status: 'read',
  get: 'read',
  explain: 'read',
  history: 'read',
  listAudit: 'read',
  purge: 'purge',
  apply: 'operate',
  rollback: 'operate',
  drain: 'operate',
  listTokens: 'administer',
  createToken: 'administer',
  revokeToken: 'administer',
};

export const RPCS: readonly AdminRpc[] = Object.keys(ROLE_NEEDED).filter(
  (name): name is AdminRpc => name in ROLE_NEEDED,
);

export const includes = (has: RoleName, needed: RoleName): boolean => ROLES.indexOf(has) >= ROLES.indexOf(needed);

export const isRole = (text: string): text is RoleName => ROLES.some((role) => role === text);
