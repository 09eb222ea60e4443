// Whose word on the client's address counts: CIDR blocks as the configuration has them, made into a predicate.
import { BlockList } from 'node:net';
import { formatAddress, parseAddress } from '../../geo/address.ts';
import { isCidr } from '../../proto/consistency.ts';

/**
 * A predicate that tells whether an address is in one of `blocks` ("10.0.0.0/8", "fd00::/8"). An IPv4-mapped IPv6 address
 * counts as IPv4, a zone is ignored, and what is not an address is in no block. Throws an Error that names the block which
 * is none.
 */
export function trustedProxies(blocks: readonly string[]): (address: string) => boolean {
  // One list each: in one, ::/0 would cover IPv4 too.
  const ipv4 = new BlockList();
  const ipv6 = new BlockList();
  for (const block of blocks) {
    const [text = '', bits] = block.split('/');
    const network = parseAddress(text);
    // An IPv4-mapped block is refused: its length would count from elsewhere.
    const mapped = network?.family === 4 && text.includes(':');
    if (!isCidr(block) || !network || mapped) {
      throw new Error(`trusted proxy "${block}": not a CIDR block; write it like 10.0.0.0/8 or fd00::/8`);
    }
    if (network.family === 4) ipv4.addSubnet(text, Number(bits), 'ipv4');
    else ipv6.addSubnet(text, Number(bits), 'ipv6');
  }
  return (text) => {
    const address = parseAddress(text.includes('%') ? text.slice(0, text.indexOf('%')) : text);
    if (!address) return false;
    return address.family === 4
      ? ipv4.check(formatAddress(address), 'ipv4')
      : ipv6.check(formatAddress(address), 'ipv6');
  };
}
