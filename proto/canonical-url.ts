// One form for every URL: what the cache keys on, what routes match, what an origin is asked for and what a purge names is
// the same string (RFC 3986 section 6.2.2). What two programs could read in two ways is refused rather than guessed.

export type CanonicalHost =
  | { readonly kind: 'host'; readonly host: string /** Absent: none was given. */; readonly port: number | undefined }
  | { readonly kind: 'malformed'; readonly detail: string };

const HOSTNAME = /^(?!-)[a-z0-9_-]{1,63}(?<!-)(?:\.(?!-)[a-z0-9_-]{1,63}(?<!-))*$/;
const IPV6 = /^\[[0-9a-f:.]{2,45}\]$/;

/** `authority` as in a Host field: `Example.com:8080`, `[::1]:80`. Lower-cased; a final dot is dropped. */
export function canonicalHost(authority: string): CanonicalHost {
  const colon = authority.endsWith(']') ? -1 : authority.lastIndexOf(':');
  const name = (colon === -1 ? authority : authority.slice(0, colon)).toLowerCase();
  const digits = colon === -1 ? undefined : authority.slice(colon + 1);
  let port: number | undefined;
  if (digits !== undefined && digits !== '') {
    if (!/^\d{1,5}$/.test(digits)) return { kind: 'malformed', detail: `"${digits}" is not a port` };
    port = Number(digits);
    if (port < 1 || port > 65535) return { kind: 'malformed', detail: `port ${port} is not within 1..65535` };
  }
  const host = name.endsWith('.') ? name.slice(0, -1) : name;
  if (host.length > 253 || !(HOSTNAME.test(host) || IPV6.test(host))) {
    return { kind: 'malformed', detail: `"${name.slice(0, 80)}" is not a hostname or an address` };
  }
  return { kind: 'host', host, port };
}

export type CanonicalTarget =
  | {
      readonly kind: 'target' /** Path and query. */;
      readonly target: string /** Without query. */;
      readonly path: string;
    }
  | { readonly kind: 'malformed'; readonly detail: string };

// Already canonical: nothing escaped, no dot segment, no doubled slash. Most requests end here.
const PLAIN =
  /^\/(?:[A-Za-z0-9_~!$&'()*+,;=:@-][A-Za-z0-9._~!$&'()*+,;=:@-]*\/)*(?:[A-Za-z0-9_~!$&'()*+,;=:@-][A-Za-z0-9._~!$&'()*+,;=:@-]*)?$/;
const ALLOWED = /^[A-Za-z0-9._~!$&'()*+,;=:@/?%[\]|^`{}"<>-]*$/;
const UNRESERVED = /[A-Za-z0-9._~-]/;
/** In `ALLOWED`, but in no URL (RFC 3986 section 2): plain or escaped, most servers take them for the same. */
const TOLERATED = /["<>^`{|}]/g;
const DOTS_WITH_PARAMETERS = /\/\.{1,2}(?:;|%3B)/;

/**
 * `target` in origin-form: an absolute path with an optional query. Escapes of unreserved characters are decoded, the others'
 * hexadecimal digits raised, what no URL may hold but browsers send is escaped, dot segments are removed. Refused: control
 * characters, a fragment, a broken escape, an escaped NUL, and in the path a plain or escaped backslash, an escaped slash
 * and a dot segment with parameters ("/..;/"), since servers differ on what they mean.
 */
export function canonicalTarget(target: string): CanonicalTarget {
  const mark = target.indexOf('?');
  const path = mark === -1 ? target : target.slice(0, mark);
  const query = mark === -1 ? '' : target.slice(mark);
  if (query === '' && PLAIN.test(path)) return { kind: 'target', target, path };
  if (!path.startsWith('/')) return { kind: 'malformed', detail: 'the path does not start with "/"' };
  if (!ALLOWED.test(target))
    return { kind: 'malformed', detail: 'the URL has a character that must be percent-encoded' };
  if (/%(?![0-9A-Fa-f]{2})/.test(target)) return { kind: 'malformed', detail: 'the URL has a broken percent-escape' };
  if (/%(?:2f|5c|00)/i.test(path)) return { kind: 'malformed', detail: 'the path has an escaped "/", "\\" or NUL' };
  if (/%00/.test(query)) return { kind: 'malformed', detail: 'the query has an escaped NUL' };
  const escaped = normalizeEscapes(path);
  if (DOTS_WITH_PARAMETERS.test(escaped))
    return { kind: 'malformed', detail: 'the path has a dot segment with parameters' };
  const clean = removeDotSegments(escaped);
  return { kind: 'target', target: clean + normalizeEscapes(query), path: clean };
}

function normalizeEscapes(text: string): string {
  const escaped = text.replace(TOLERATED, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`);
  if (!escaped.includes('%')) return escaped;
  return escaped.replace(/%[0-9A-Fa-f]{2}/g, (triplet) => {
    const character = String.fromCharCode(Number.parseInt(triplet.slice(1), 16));
    return UNRESERVED.test(character) ? character : triplet.toUpperCase();
  });
}

/** RFC 3986 section 5.2.4, for a path that starts with "/". */
function removeDotSegments(path: string): string {
  if (!path.includes('/.')) return path;
  const kept: string[] = [];
  const segments = path.slice(1).split('/');
  for (const [index, segment] of segments.entries()) {
    const last = index === segments.length - 1;
    if (segment === '.' || segment === '..') {
      if (segment === '..') kept.pop();
      if (last) kept.push('');
    } else {
      kept.push(segment);
    }
  }
  return `/${kept.join('/')}`;
}

export type CanonicalUrl =
  | { readonly kind: 'url'; readonly host: string; readonly port: number | undefined; readonly target: string }
  | { readonly kind: 'malformed'; readonly detail: string };

/** An absolute http or https URL, as people type it for a purge or an explanation. A fragment is dropped. */
export function canonicalUrl(url: string): CanonicalUrl {
  const match = /^https?:\/\/([^/?#]*)([^#]*)(?:#.*)?$/i.exec(url);
  if (!match) return { kind: 'malformed', detail: 'expected http://HOST/PATH or https://HOST/PATH' };
  const [, authority = '', rest = ''] = match;
  if (authority.includes('@')) return { kind: 'malformed', detail: 'a URL with a user name is not accepted' };
  const host = canonicalHost(authority);
  if (host.kind === 'malformed') return host;
  const target = canonicalTarget(rest.startsWith('/') ? rest : `/${rest}`);
  if (target.kind === 'malformed') return target;
  return { kind: 'url', host: host.host, port: host.port, target: target.target };
}
