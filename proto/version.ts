// Versions of the configuration and places in the purge log, compared.
import type { PurgePosition } from './gen/meridian/v1/purge.ts';
import type { Version } from './gen/meridian/v1/resources.ts';

/** Spoken on the stream between edge and control plane. Grows when an old peer could misread a message. */
export const PROTOCOL_VERSION = 1;

/** Below 0, 0 or above 0 as `a` is older than, equal to or newer than `b`. An absent version is older than any. */
export function compareVersions(a: Version | undefined, b: Version | undefined): number {
  if (!a || !b) return Number(a !== undefined) - Number(b !== undefined);
  return a.epoch - b.epoch || a.revision - b.revision;
}

/** Orders places in the purge log as {@link compareVersions} orders versions. */
export function comparePositions(a: PurgePosition | undefined, b: PurgePosition | undefined): number {
  if (!a || !b) return Number(a !== undefined) - Number(b !== undefined);
  return a.epoch - b.epoch || a.sequence - b.sequence;
}

/** "1763953845123.42": epoch, dot, revision; what people see and type. */
export function formatVersion(version: Version | undefined): string {
  return version ? `${version.epoch}.${version.revision}` : 'none';
}
