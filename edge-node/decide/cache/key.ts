// The names under which a response is kept and purged. The key holds everything that chooses the resource (scheme, host,
// port, path, query: RFC 9111 section 2), so that no two resources can meet in one entry.

/** `authority`: canonical host, with its port where the scheme's default is not meant. `target`: canonical path and query. */
export function cacheKey(scheme: 'http' | 'https', authority: string, target: string): string {
  return `${scheme}://${authority}${target}`;
}

/** What a purge of a URL names: `host` without a port, then path and query. A purge reaches every scheme and port. */
export function purgeName(host: string, target: string): string {
  return host + target;
}
