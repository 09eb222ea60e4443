// Which addresses an edge never connects to, whatever an origin's name resolves to: link-local ones and those at which
// clouds hand out credentials to whoever asks from inside. Loopback and private addresses are allowed: an origin's address
// is written by the operator, and most origins live there. Addresses that carry an IPv4 address (mapped, NAT64, 6to4) count
// as that one (RFC 4291 section 2.5.5, RFC 6052, RFC 3056).

export type AddressVerdict =
  | { readonly kind: 'allowed' }
  | { readonly kind: 'denied'; readonly reason: 'link-local' | 'cloud-metadata' | 'not-an-address' };

/** IPv4 addresses of metadata services outside 169.254.0.0/16: Alibaba Cloud, Oracle Cloud, Azure's host agent. */
const METADATA_V4 = new Set(['100.100.100.200', '192.0.0.192', '168.63.129.16']);

/** `address`: IPv4 in four decimal parts, or IPv6 with or without a zone; not a name, no brackets. */
export function judgeAddress(address: string): AddressVerdict {
  const v4 = parseV4(address);
  if (v4) return judgeV4(v4);
  const v6 = parseV6(address.split('%')[0] ?? '');
  return v6 ? judgeV6(v6) : { kind: 'denied', reason: 'not-an-address' };
}

function judgeV4(parts: readonly number[]): AddressVerdict {
  if (parts[0] === 169 && parts[1] === 254) return { kind: 'denied', reason: 'link-local' };
  if (METADATA_V4.has(parts.join('.'))) return { kind: 'denied', reason: 'cloud-metadata' };
  return { kind: 'allowed' };
}

function judgeV6(groups: readonly number[]): AddressVerdict {
  const [g0 = 0, g1 = 0, g2 = 0, g3 = 0, g4 = 0, g5 = 0, g6 = 0, g7 = 0] = groups;
  if ((g0 & 0xffc0) === 0xfe80) return { kind: 'denied', reason: 'link-local' };
  // fd00:ec2::/32 of Amazon (metadata, time, DNS, pod identity) and fd20:ce::254 of Google.
  if (g0 === 0xfd00 && g1 === 0x0ec2) return { kind: 'denied', reason: 'cloud-metadata' };
  if (g0 === 0xfd20 && g1 === 0x00ce && g7 === 0x0254) return { kind: 'denied', reason: 'cloud-metadata' };
  const leadingZeros = (g0 | g1 | g2 | g3 | g4) === 0;
  const mapped = leadingZeros && (g5 === 0xffff || (g5 === 0 && g6 !== 0));
  // 64:ff9b::/96 and the local-use 64:ff9b:1::/48, taken with the IPv4 address at its end.
  const nat64 = g0 === 0x64 && g1 === 0xff9b && (g2 === 1 || (g2 | g3 | g4 | g5) === 0);
  if (mapped || nat64) return judgeV4([g6 >> 8, g6 & 0xff, g7 >> 8, g7 & 0xff]);
  if (g0 === 0x2002) return judgeV4([g1 >> 8, g1 & 0xff, g2 >> 8, g2 & 0xff]);
  return { kind: 'allowed' };
}

function parseV4(text: string): number[] | undefined {
  if (!/^\d{1,3}(?:\.\d{1,3}){3}$/.test(text)) return undefined;
  const parts = text.split('.').map(Number);
  return parts.every((part) => part <= 255) ? parts : undefined;
}

/** Eight groups of 16 bits. */
function parseV6(text: string): number[] | undefined {
  const halves = text.split('::');
  if (!text.includes(':') || halves.length > 2) return undefined;
  const head = parseGroups(halves[0] ?? '');
  const tail = halves.length === 2 ? parseGroups(halves[1] ?? '') : [];
  if (!head || !tail) return undefined;
  const missing = 8 - head.length - tail.length;
  if (halves.length === 2 ? missing < 1 : missing !== 0) return undefined;
  return [...head, ...new Array<number>(missing).fill(0), ...tail];
}

function parseGroups(text: string): number[] | undefined {
  if (text === '') return [];
  const groups: number[] = [];
  const words = text.split(':');
  for (const [index, word] of words.entries()) {
    const v4 = index === words.length - 1 ? parseV4(word) : undefined;
    if (v4) {
      const [a = 0, b = 0, c = 0, d = 0] = v4;
      groups.push((a << 8) | b, (c << 8) | d);
    } else if (/^[0-9a-f]{1,4}$/i.test(word)) groups.push(Number.parseInt(word, 16));
    else return undefined;
  }
  return groups;
}
