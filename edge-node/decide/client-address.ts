// Whose request this is: the peer of the connection, or the client that a trusted peer names in X-Forwarded-For or in
// Forwarded (RFC 7239). Each proxy adds the address that it was asked from at the right, so only what stands right of the
// first address that is not trusted was written by someone who is; all the rest is hearsay.
//
// When a request has both fields, they must lead to the same address; otherwise the peer itself is taken for the client. A
// proxy mostly writes one of the two and passes the other on as it came, which is to say as the client wrote it, and from
// here nobody can tell which. Preferring either would let clients behind the proxies that write the other choose their
// address. So a client that sends a contradiction can hide behind the proxy, but cannot pass for anyone else.
import { formatAddress, parseAddress } from '../../geo/address.ts';

export interface ForwardingFields {
  /** Combined value of the field lines (RFC 9110 section 5.3); undefined when there are none. */
  readonly xForwardedFor: string | undefined;
  readonly forwarded: string | undefined;
}

/** Members looked at, from the right; the chain counts as ending there. */
const MAX_HOPS = 32;

/**
 * The client's address in canonical form (IPv4 dotted, IPv6 as in RFC 5952). Walks leftwards while addresses are trusted;
 * when all are, the leftmost is the client. A member that is malformed or hides its address ends the chain before it.
 * `peer`: address of the other end of the connection; `isTrusted`: whether an address may speak for others.
 */
export function clientAddress(
  peer: string,
  { xForwardedFor, forwarded }: ForwardingFields,
  isTrusted: (address: string) => boolean,
): string {
  const self = peer.startsWith('::ffff:') ? (canonicalAddress(peer) ?? peer) : peer;
  if ((xForwardedFor === undefined && forwarded === undefined) || !isTrusted(self)) return self;
  if (forwarded === undefined) return walk(self, xForwardedFor ?? '', addressOf, isTrusted);
  const byForwarded = walk(self, forwarded, forAddressOf, isTrusted);
  if (xForwardedFor === undefined) return byForwarded;
  return walk(self, xForwardedFor, addressOf, isTrusted) === byForwarded ? byForwarded : self;
}

function walk(
  peer: string,
  list: string,
  read: (member: string) => string | undefined,
  isTrusted: (address: string) => boolean,
): string {
  let client = peer;
  let end = list.length;
  for (let hops = 0; end >= 0 && hops < MAX_HOPS; hops += 1) {
    const comma = lastOutsideQuotes(list, ',', end);
    const member = list.slice(comma + 1, end).trim();
    end = comma;
    // Lists may have empty members (RFC 9110 section 5.6.1).
    if (member === '') continue;
    const address = read(member);
    if (address === undefined) return client;
    client = address;
    if (!isTrusted(address)) return client;
  }
  return client;
}

/**
 * Index of the last `separator` before `end` that is not inside a quoted string (RFC 9110 section 5.6.4), -1 when there is
 * none. Read from the right, so that a quotation mark which a client left open reaches no further than the client wrote.
 */
function lastOutsideQuotes(text: string, separator: ',' | ';', end: number): number {
  let quoted = false;
  for (let at = end - 1; at >= 0; at -= 1) {
    if (text[at] === '"' && !isEscaped(text, at)) quoted = !quoted;
    else if (text[at] === separator && !quoted) return at;
  }
  return -1;
}

/** Whether an odd number of backslashes stands before `index`. */
function isEscaped(text: string, index: number): boolean {
  let at = index - 1;
  while (text[at] === '\\') at -= 1;
  return (index - at) % 2 === 0;
}

/** The address in a member of Forwarded; undefined when it has none or two, or is malformed (RFC 7239 section 4). */
function forAddressOf(member: string): string | undefined {
  let node: string | undefined;
  let end = member.length;
  while (end >= 0) {
    const semicolon = lastOutsideQuotes(member, ';', end);
    const pair = member.slice(semicolon + 1, end);
    end = semicolon;
    if (pair.trim() === '') continue;
    const equals = pair.indexOf('=');
    if (equals === -1) return undefined;
    if (pair.slice(0, equals).trim().toLowerCase() !== 'for') continue;
    if (node !== undefined) return undefined;
    node = pair.slice(equals + 1).trim();
  }
  if (node === undefined) return undefined;
  return addressOf(node.startsWith('"') && node.endsWith('"') ? node.slice(1, -1) : node);
}

const PORT = /^:(?:[0-9]{1,5}|_[0-9A-Za-z._-]{1,100})$/;

/**
 * `192.0.2.1`, `192.0.2.1:4711`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:4711`; the port may be obfuscated. Undefined
 * for the rest, among it what RFC 7239 sections 6.2 and 6.3 let a proxy say instead of an address: `unknown`, `_hidden`.
 */
function addressOf(node: string): string | undefined {
  if (node.startsWith('[')) {
    const close = node.indexOf(']');
    const port = node.slice(close + 1);
    const address = node.slice(1, close);
    return address.includes(':') && (port === '' || PORT.test(port)) ? canonicalAddress(address) : undefined;
  }
  const colon = node.indexOf(':');
  const hasPort = colon !== -1 && colon === node.lastIndexOf(':');
  if (hasPort && !PORT.test(node.slice(colon))) return undefined;
  return canonicalAddress(hasPort ? node.slice(0, colon) : node);
}

function canonicalAddress(text: string): string | undefined {
  const address = parseAddress(text);
  return address && formatAddress(address);
}
