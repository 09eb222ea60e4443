// Internet addresses as text: which text is one, its one canonical form, and whether it can be the address of a client on
// the public Internet. An IPv4-mapped IPv6 address (RFC 4291 section 2.5.5.2) is the IPv4 address inside it.

export type Address =
  | { readonly family: 4 /** 0..2^32-1. */; readonly value: number }
  | { readonly family: 6 /** Eight, 0..65535. */; readonly groups: readonly number[] };

/** Longest text of an address: `ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255`. */
const LONGEST = 45;

/**
 * Undefined when `text` is not an address. Strict: no port, brackets, zone or spaces, and no leading zeros in IPv4, which
 * some programs read as octal.
 */
export function parseAddress(text: string): Address | undefined {
  if (text.length > LONGEST) return undefined;
  if (text.includes(':')) return parseIpv6(text);
  const value = parseIpv4(text);
  return value === undefined ? undefined : { family: 4, value };
}

function parseIpv4(text: string): number | undefined {
  let value = 0;
  let part = 0;
  let digits = 0;
  let dots = 0;
  for (let i = 0; i < text.length; i += 1) {
    const code = text.charCodeAt(i);
    if (code === 0x2e) {
      if (digits === 0) return undefined;
      value = value * 256 + part;
      dots += 1;
      part = 0;
      digits = 0;
    } else {
      if (code < 0x30 || code > 0x39 || (digits > 0 && part === 0)) return undefined;
      part = part * 10 + code - 0x30;
      digits += 1;
      if (part > 255) return undefined;
    }
  }
  return dots === 3 && digits > 0 ? value * 256 + part : undefined;
}

function parseIpv6(text: string): Address | undefined {
  const groups: number[] = [];
  /** How many groups stand before "::". */
  let gap = text.startsWith('::') ? 0 : -1;
  let at = gap === 0 ? 2 : 0;
  while (at < text.length) {
    const start = at;
    let group = 0;
    for (let digit = hexDigit(text, at); digit !== -1; digit = hexDigit(text, at)) {
      group = group * 16 + digit;
      at += 1;
    }
    if (text[at] === '.') {
      const quad = parseIpv4(text.slice(start));
      if (quad === undefined) return undefined;
      groups.push(Math.floor(quad / 65536), quad % 65536);
      break;
    }
    if (at === start || at - start > 4) return undefined;
    groups.push(group);
    if (at === text.length) break;
    if (text[at] !== ':' || at + 1 === text.length) return undefined;
    at += 1;
    if (text[at] === ':') {
      if (gap !== -1) return undefined;
      gap = groups.length;
      at += 1;
    }
  }
  if (gap === -1) return groups.length === 8 ? fromGroups(groups) : undefined;
  if (groups.length > 7) return undefined;
  while (groups.length < 8) groups.splice(gap, 0, 0);
  return fromGroups(groups);
}

/** The value of the hexadecimal digit at `index`, -1 when there is none. */
function hexDigit(text: string, index: number): number {
  const code = text.charCodeAt(index);
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  const letter = code | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
}

function fromGroups(groups: readonly number[]): Address {
  const [, , , , , marker, high = 0, low = 0] = groups;
  const mapped = marker === 0xffff && groups.slice(0, 5).every((group) => group === 0);
  return mapped ? { family: 4, value: high * 65536 + low } : { family: 6, groups };
}

/** Canonical text: dotted decimal, or the form of RFC 5952. */
export function formatAddress(address: Address): string {
  if (address.family === 4) {
    const { value } = address;
    return `${value >>> 24}.${(value >>> 16) & 255}.${(value >>> 8) & 255}.${value & 255}`;
  }
  const { groups } = address;
  // The longest run of two or more zero groups, the first of equals, becomes "::".
  let start = 0;
  let length = 1;
  for (let from = 0; from < 8; from += 1) {
    let to = from;
    while (groups[to] === 0) to += 1;
    if (to - from > length) {
      start = from;
      length = to - from;
    }
  }
  const hex = groups.map((group) => group.toString(16));
  if (length === 1) return hex.join(':');
  return `${hex.slice(0, start).join(':')}::${hex.slice(start + length).join(':')}`;
}

// The blocks of the IANA special-purpose registries (RFC 6890 and its updates) that are not globally reachable, and with
// them multicast, the reserved top of IPv4, and what IPv6 has deprecated (RFC 3879, RFC 4291 section 2.5.5.1).
const SPECIAL = [
  ...['0.0.0.0/8', '10.0.0.0/8', '100.64.0.0/10', '127.0.0.0/8', '169.254.0.0/16', '172.16.0.0/12', '192.0.0.0/24'],
  ...['192.0.2.0/24', '192.168.0.0/16', '198.18.0.0/15', '198.51.100.0/24', '203.0.113.0/24', '224.0.0.0/3'],
  ...['::/96', '64:ff9b:1::/48', '100::/64', '2001:2::/48', '2001:db8::/32', '3fff::/20', '5f00::/16', 'fc00::/7'],
  ...['fe80::/10', 'fec0::/10', 'ff00::/8'],
];
const SPECIAL_IPV4: { readonly value: number; readonly bits: number }[] = [];
const SPECIAL_IPV6: { readonly groups: readonly number[]; readonly bits: number }[] = [];
for (const block of SPECIAL) {
  const [text = '', bits] = block.split('/');
  const address = parseAddress(text);
  if (address?.family === 4) SPECIAL_IPV4.push({ value: address.value, bits: Number(bits) });
  if (address?.family === 6) SPECIAL_IPV6.push({ groups: address.groups, bits: Number(bits) });
}

/** Whether no client on the public Internet can have this address: private, loopback, link-local, documentation ... */
export function isSpecial(address: Address): boolean {
  if (address.family === 4) {
    for (const { value, bits } of SPECIAL_IPV4) if ((value ^ address.value) >>> (32 - bits) === 0) return true;
    return false;
  }
  for (const { groups, bits } of SPECIAL_IPV6) if (startsAlike(groups, address.groups, bits)) return true;
  return false;
}

function startsAlike(a: readonly number[], b: readonly number[], bits: number): boolean {
  const whole = bits >>> 4;
  for (let i = 0; i < whole; i += 1) if (a[i] !== b[i]) return false;
  const rest = bits & 15;
  return rest === 0 || ((a[whole] ?? 0) ^ (b[whole] ?? 0)) >>> (16 - rest) === 0;
}
