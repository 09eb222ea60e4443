import assert from 'node:assert/strict';
import { isIP } from 'node:net';
import { test } from 'node:test';
import { formatAddress, isSpecial, parseAddress } from '../../../geo/address.ts';
import { seededRandom } from '../../../infra/runtime/random.ts';

function canonical(text: string): string | undefined {
  const address = parseAddress(text);
  return address && formatAddress(address);
}

test('an IPv4 address is four decimal numbers', () => {
  assert.deepEqual(parseAddress('81.2.69.142'), { family: 4, value: 0x5102458e });
  assert.equal(canonical('0.0.0.0'), '0.0.0.0');
  assert.equal(canonical('255.255.255.255'), '255.255.255.255');
});

test('an IPv6 address has one canonical form', () => {
  assert.equal(canonical('2001:DB8:0:0:8:800:200C:417A'), '2001:db8::8:800:200c:417a');
  assert.equal(canonical('::'), '::');
  assert.equal(canonical('0:0:0:0:0:0:0:1'), '::1');
  assert.equal(canonical('fe80::'), 'fe80::');
  assert.equal(canonical('1:2:3:4:5:6:7::'), '1:2:3:4:5:6:7:0');
  // RFC 5952 section 4.2: the longest run is shortened, the first of equals, and never a single group.
  assert.equal(canonical('2001:0:0:1:0:0:0:1'), '2001:0:0:1::1');
  assert.equal(canonical('2001:db8:0:0:1:0:0:1'), '2001:db8::1:0:0:1');
  assert.equal(canonical('2001:db8:0:1:1:1:1:1'), '2001:db8:0:1:1:1:1:1');
});

test('an IPv4-mapped IPv6 address is the IPv4 address inside it', () => {
  assert.deepEqual(parseAddress('::ffff:81.2.69.142'), parseAddress('81.2.69.142'));
  assert.deepEqual(parseAddress('::FFFF:5102:458e'), parseAddress('81.2.69.142'));
  assert.equal(canonical('::fffe:81.2.69.142'), '::fffe:5102:458e');
});

test('what is not exactly an address is none', () => {
  const none = [
    ...[
      '',
      ' ',
      '1',
      '1.2.3',
      '1.2.3.',
      '.1.2.3',
      '1.2.3.4.5',
      '1.2.3.256',
      '01.2.3.4',
      '1.2.3.04',
      '1.2.3.4 ',
      '1..2.3',
    ],
    ...['0x1.2.3.4', '-1.2.3.4', '1.2.3.4:80', '1.2.3.4/8', ':', ':::', '1:::2', '1::2::3', '1:2:3:4:5:6:7', '12345::'],
    ...[
      '1:2:3:4:5:6:7:8:9',
      '1:2:3:4:5:6:7:8::',
      '::1:',
      ':1::',
      '::g',
      '[::1]',
      'fe80::1%eth0',
      '1.2.3.4::',
      '::1.2.3',
    ],
    ...['::1.2.3.4:5', '1:2:3:4:5:6:7:1.2.3.4', 'localhost', 'unknown', '1'.repeat(10_000), ':'.repeat(10_000)],
  ];
  for (const text of none) assert.equal(parseAddress(text), undefined, JSON.stringify(text.slice(0, 60)));
});

test('random text is an address exactly where Node says so, and its canonical form is that of URLs', () => {
  const random = seededRandom(5952);
  const pick = <T>(items: readonly T[]): T | undefined => items[Math.floor(random.next() * items.length)];
  const seeds = [
    '1.22.133.244',
    '2001:db8::1',
    '1:2:3:4:5:6:7:8',
    '::ffff:10.0.0.1',
    '::',
    '0:0:1:0:0:0:0:f00d',
    'a::1.2.3.4',
  ];
  let addresses = 0;
  for (let round = 0; round < 30_000; round += 1) {
    let text = pick(seeds) ?? '';
    for (let edits = Math.floor(random.next() * 4); edits > 0; edits -= 1) {
      const at = Math.floor(random.next() * (text.length + 1));
      const cut = Math.floor(random.next() * 3);
      text =
        text.slice(0, at) +
        (pick(['', '0', '9', 'f', ':', '::', '.', '255', 'g', '1.2.3.4']) ?? '') +
        text.slice(at + cut);
    }
    const address = parseAddress(text);
    assert.equal(address !== undefined, isIP(text) !== 0, text);
    if (!address) continue;
    addresses += 1;
    const written = formatAddress(address);
    assert.deepEqual(parseAddress(written), address, text);
    if (address.family === 6) assert.equal(`[${written}]`, new URL(`http://[${text}]`).hostname, text);
  }
  assert.ok(addresses > 5000, `only ${addresses} of the texts were addresses`);
});

test('an address that no client on the Internet can have is special, up to the edges of its block', () => {
  const blocks: [inside: string[], outside: string[]][] = [
    [['0.0.0.0', '0.255.255.255'], ['1.0.0.0']],
    [
      ['10.0.0.0', '10.255.255.255'],
      ['9.255.255.255', '11.0.0.0'],
    ],
    [
      ['100.64.0.0', '100.127.255.255'],
      ['100.63.255.255', '100.128.0.0'],
    ],
    [
      ['127.0.0.1', '127.255.255.255'],
      ['126.255.255.255', '128.0.0.0'],
    ],
    [
      ['169.254.0.0', '169.254.255.255'],
      ['169.253.255.255', '169.255.0.0'],
    ],
    [
      ['172.16.0.0', '172.31.255.255'],
      ['172.15.255.255', '172.32.0.0'],
    ],
    [
      ['192.0.2.0', '192.0.2.255'],
      ['192.0.1.255', '192.0.3.0'],
    ],
    [
      ['192.168.0.0', '192.168.255.255'],
      ['192.167.255.255', '192.169.0.0'],
    ],
    [
      ['198.18.0.0', '198.19.255.255', '198.51.100.7', '203.0.113.7'],
      ['198.17.255.255', '198.20.0.0', '203.0.114.0'],
    ],
    [['224.0.0.1', '240.0.0.1', '255.255.255.255'], ['223.255.255.255']],
    [['::', '::1', '::1.2.3.4'], ['64:ff9b::1.2.3.4']],
    [['::ffff:10.0.0.1', '::ffff:127.0.0.1'], ['::ffff:81.2.69.142']],
    [
      ['100::1', '2001:db8::1', '2001:db8:ffff::1', '3fff:fff::1', '5f00::1'],
      ['2001:db7::1', '2001:db9::1', '3fff:1000::1'],
    ],
    [
      ['fc00::', 'fdff:ffff::1', 'fe80::1', 'febf::1', 'fec0::1', 'ff02::1'],
      ['fbff::1', 'fe00::1', '2a00:1450::1'],
    ],
  ];
  for (const [inside, outside] of blocks) {
    for (const [expected, texts] of [
      [true, inside],
      [false, outside],
    ] as const) {
      for (const text of texts) {
        const address = parseAddress(text);
        assert.ok(address, text);
        assert.equal(isSpecial(address), expected, text);
      }
    }
  }
});
