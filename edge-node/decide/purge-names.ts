// The names under which purges are remembered, and those under which a stored answer may have been purged: the same for every
// barrier, so that they cannot differ in what a purge reaches.
import type { PurgeTarget } from '../../proto/gen/meridian/v1/purge.ts';
import { LIMITS } from '../../proto/limits.ts';
import { purgeName } from './cache/key.ts';

/** What a target raises. `host`: what a record that has to go folds into; undefined: everything. */
export type Raised =
  | { readonly kind: 'all' }
  | { readonly kind: 'host'; readonly name: string }
  | { readonly kind: 'url' | 'prefix' | 'tag'; readonly name: string; readonly host: string | undefined };

const ALL: readonly Raised[] = [{ kind: 'all' }];

export function raisedBy({ target }: PurgeTarget): readonly Raised[] {
  switch (target?.$case) {
    case 'url': {
      const { host, path } = target.value;
      return [{ kind: 'url', name: purgeName(host, path), host }];
    }
    case 'host':
      return [{ kind: 'host', name: target.value }];
    case 'prefix': {
      const { host, path } = target.value;
      const whole = path.split('/').length - 1 > LIMITS.prefixSegments || path.replace(/\/+$/, '') === '';
      if (whole) return [{ kind: 'host', name: host }];
      return [{ kind: 'prefix', name: purgeName(host, path.replace(/\/+$/, '')), host }];
    }
    case 'tag': {
      const { tag, hosts } = target.value;
      if (hosts.length === 0) return [{ kind: 'tag', name: tagName('', tag), host: undefined }];
      // A pattern stands for hosts that nobody has counted.
      const one = (host: string) => (host.startsWith('*') ? undefined : host);
      return hosts.map((host) => ({ kind: 'tag', name: tagName(host, tag), host: one(host) }));
    }
    case 'all':
    case undefined:
      // Absent: a target of a kind that this version does not know.
      return ALL;
  }
}

/** Neither a host nor a tag has a space. */
function tagName(host: string, tag: string): string {
  return `${host} ${tag}`;
}

/** Whether `test` holds for a prefix of `target` (`purgeName` of a URL of `host`), by whole segments. */
export function somePrefix(host: string, target: string, test: (name: string) => boolean): boolean {
  let segments = 0;
  for (let i = host.length + 1; i <= target.length; i += 1) {
    const at = target.charCodeAt(i);
    const end = i === target.length || at === QUERY;
    if (at !== SLASH && !end) continue;
    if (test(target.slice(0, i))) return true;
    segments += 1;
    if (end || segments === LIMITS.prefixSegments) return false;
  }
  return false;
}

const SLASH = 0x2f;
const QUERY = 0x3f;

/** Whether `test` holds for a name under which one of the tags of an answer of `host` may have been purged. */
export function someTag(host: string, tags: readonly string[], test: (name: string) => boolean): boolean {
  if (tags.length === 0) return false;
  const dot = host.indexOf('.');
  const pattern = dot === -1 ? undefined : `*${host.slice(dot)}`;
  return tags.some(
    (tag) =>
      test(tagName('', tag)) || test(tagName(host, tag)) || (pattern !== undefined && test(tagName(pattern, tag))),
  );
}
