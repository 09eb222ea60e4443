// Which octets may stand where in an HTTP/1.1 message (RFC 9110 section 5.6.2, RFC 9112 sections 2 to 5), as tables: one
// load answers for one octet. Single octets have their names in each file that uses them: V8 reads an imported number from
// memory at every use but knows one of the same file when it compiles, and the loops over octets run half as fast again.

/** For an octet of a token (RFC 9110 section 5.6.2): that octet in lower case. For any other: 0. */
export const TOKEN_LOWER: Uint8Array = new Uint8Array(256);
for (const member of "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") {
  TOKEN_LOWER[member.charCodeAt(0)] = member.toLowerCase().charCodeAt(0);
}

/**
 * 1 for what a request target may hold: visible ASCII but "#", since a fragment is never sent. Wider than RFC 3986, because
 * browsers leave some of its other exclusions as they are; the canonical form (proto/canonical-url.ts) is the judge of those.
 */
export const TARGET: Uint8Array = new Uint8Array(256).fill(1, 0x21, 0x7f);
TARGET[0x23] = 0;
