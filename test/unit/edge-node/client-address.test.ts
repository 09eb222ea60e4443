import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clientAddress } from '../../../edge-node/decide/client-address.ts';
import { trustedProxies } from '../../../edge-node/io/trusted-proxies.ts';
import { parseAddress } from '../../../geo/address.ts';
import { seededRandom } from '../../../infra/runtime/random.ts';

const isTrusted = trustedProxies(['10.0.0.0/8', 'fd00::/8']);
const PROXY = '10.0.0.1';
const CLIENT = '81.2.69.142';

function byXForwardedFor(xForwardedFor: string, peer = PROXY): string {
  return clientAddress(peer, { xForwardedFor, forwarded: undefined }, isTrusted);
}

function byForwarded(forwarded: string, peer = PROXY): string {
  return clientAddress(peer, { xForwardedFor: undefined, forwarded }, isTrusted);
}

test('without forwarding fields the peer is the client, and nobody is asked about trust', () => {
  const never = () => assert.fail('asked');
  assert.equal(clientAddress(CLIENT, { xForwardedFor: undefined, forwarded: undefined }, never), CLIENT);
  assert.equal(clientAddress(PROXY, { xForwardedFor: undefined, forwarded: undefined }, never), PROXY);
});

test('an IPv4 peer on a socket of both families is called by its IPv4 address', () => {
  assert.equal(
    clientAddress(`::ffff:${CLIENT}`, { xForwardedFor: undefined, forwarded: undefined }, isTrusted),
    CLIENT,
  );
  assert.equal(byXForwardedFor(CLIENT, `::ffff:${PROXY}`), CLIENT);
});

test('what a peer says that is not trusted does not count', () => {
  assert.equal(byXForwardedFor('1.1.1.1', CLIENT), CLIENT);
  assert.equal(byForwarded('for=1.1.1.1', CLIENT), CLIENT);
  const both = { xForwardedFor: '1.1.1.1', forwarded: 'for=1.1.1.1' };
  assert.equal(clientAddress(CLIENT, both, isTrusted), CLIENT);
});

test('a trusted peer names the client', () => {
  assert.equal(byXForwardedFor(CLIENT), CLIENT);
  assert.equal(byForwarded(`for=${CLIENT}`), CLIENT);
  assert.equal(byXForwardedFor(CLIENT, 'fd00::1'), CLIENT);
});

test('the first address from the right that is not trusted is the client; what stands before it is hearsay', () => {
  assert.equal(byXForwardedFor(`1.1.1.1, ${CLIENT}, 10.0.0.2, fd00::2`), CLIENT);
  assert.equal(byForwarded(`for=1.1.1.1, for=${CLIENT}, for=10.0.0.2, for="[fd00::2]"`), CLIENT);
});

test('when all are trusted the leftmost is the client', () => {
  assert.equal(byXForwardedFor('10.0.0.3, 10.0.0.2'), '10.0.0.3');
  assert.equal(byForwarded('for=10.0.0.3,for=10.0.0.2'), '10.0.0.3');
});

test('an empty list leaves the peer, and empty members are passed over', () => {
  for (const empty of ['', ' ', ',', ' , ,, ']) {
    assert.equal(byXForwardedFor(empty), PROXY);
    assert.equal(byForwarded(empty), PROXY);
  }
  assert.equal(byXForwardedFor(`, ${CLIENT} ,, 10.0.0.2,`), CLIENT);
});

test('ports, brackets and quotation marks are taken off, and the form is canonical', () => {
  const forms: [node: string, address: string][] = [
    ['192.0.2.43:47011', '192.0.2.43'],
    ['192.0.2.43:_port-1', '192.0.2.43'],
    ['2001:DB8:0:0::CAFE', '2001:db8::cafe'],
    ['[2001:db8::cafe]', '2001:db8::cafe'],
    ['[2001:db8::cafe]:47011', '2001:db8::cafe'],
    ['::ffff:192.0.2.43', '192.0.2.43'],
  ];
  for (const [node, address] of forms) {
    assert.equal(byXForwardedFor(node), address);
    assert.equal(byForwarded(`for="${node}"`), address);
    assert.equal(byForwarded(`for=${node}`), address);
  }
});

test('Forwarded has its parameters in any order, in any case, with spaces around', () => {
  assert.equal(byForwarded('proto=https;FOR="[2001:db8::1]:80";by=203.0.113.43;host=example.com'), '2001:db8::1');
  assert.equal(byForwarded(`by=_gate; For=${CLIENT} ;proto=http;`), CLIENT);
});

test('a member that is malformed or hides its address ends the chain at the one before', () => {
  const malformed = [
    ...[
      'unknown',
      '_hidden',
      'example.com',
      '1.2.3',
      '01.2.3.4',
      '1.2.3.4:',
      '1.2.3.4:x',
      '1.2.3.4:123456',
      '1.2.3.4/8',
    ],
    ...[
      '[1.2.3.4]',
      '[2001:db8::1',
      '2001:db8::1]',
      '[2001:db8::1]80',
      '[2001:db8::1]:',
      '[]',
      '[fe80::1%eth0]',
      '""',
      '"',
    ],
    ...['1.2.3.4 5.6.7.8', '1.2.3.4;5.6.7.8', '\u0000', '1'.repeat(5000)],
  ];
  for (const bad of malformed) {
    assert.equal(byXForwardedFor(`${CLIENT}, ${bad}, 10.0.0.2`), '10.0.0.2', bad);
    assert.equal(byXForwardedFor(`${CLIENT}, ${bad}`), PROXY, bad);
    assert.equal(byForwarded(`for=${CLIENT}, for=${bad}, for=10.0.0.2`), '10.0.0.2', bad);
    assert.equal(byForwarded(`for=${CLIENT}, for="${bad}", for=10.0.0.2`), '10.0.0.2', bad);
  }
  assert.equal(byForwarded(`for=${CLIENT}, proto=https, for=10.0.0.2`), '10.0.0.2');
  assert.equal(byForwarded(`for=1.1.1.1;for=${CLIENT}, for=10.0.0.2`), '10.0.0.2');
  assert.equal(byForwarded(`for, for=10.0.0.2`), '10.0.0.2');
});

test('a quotation mark left open by a client swallows nothing that a proxy wrote', () => {
  for (const open of ['"', 'for="', 'for=1.1.1.1;a="\\', 'for="1.1.1.1, for=2.2.2.2']) {
    assert.equal(byForwarded(`${open}, for="${CLIENT}:80"`), CLIENT, open);
    assert.equal(byXForwardedFor(`${open}, ${CLIENT}`), CLIENT, open);
  }
});

test('what a client smuggles into a string that a proxy quotes is not read as members or parameters', () => {
  for (const host of ['x, for=6.6.6.6', 'x;for=6.6.6.6;y', 'x\\", for=6.6.6.6;b=\\"', 'x\\\\']) {
    assert.equal(byForwarded(`for=${CLIENT};host="${host}"`), CLIENT, host);
    assert.equal(byForwarded(`host="${host}";for=${CLIENT}`), CLIENT, host);
    assert.equal(byForwarded(`for=1.1.1.1, host="${host}"`), PROXY, host);
  }
});

test('two fields that agree are believed', () => {
  const both = { xForwardedFor: `1.1.1.1, ${CLIENT}:4711`, forwarded: `for="${CLIENT}"` };
  assert.equal(clientAddress(PROXY, both, isTrusted), CLIENT);
});

test('two fields that contradict each other are not: whichever the proxy wrote, the client may have written the other', () => {
  const contradictions: [xForwardedFor: string, forwarded: string][] = [
    [CLIENT, 'for=6.6.6.6'],
    ['6.6.6.6', `for=${CLIENT}`],
    [CLIENT, 'for=unknown'],
    [CLIENT, 'proto=https'],
    ['', `for=${CLIENT}`],
  ];
  for (const [xForwardedFor, forwarded] of contradictions) {
    assert.equal(clientAddress(PROXY, { xForwardedFor, forwarded }, isTrusted), PROXY, `${xForwardedFor} ${forwarded}`);
  }
});

test('a chain is followed for thirty-two members and no further', () => {
  const chain = (hops: number) => [CLIENT, ...Array.from({ length: hops }, (_, hop) => `10.1.0.${hop}`)].join(', ');
  assert.equal(byXForwardedFor(chain(31)), CLIENT);
  assert.equal(byXForwardedFor(chain(32)), '10.1.0.0');
  assert.equal(byXForwardedFor(','.repeat(100_000)), PROXY);
});

test('whatever stands left of the member that a proxy added, the client is the one it says', () => {
  const random = seededRandom(7239);
  const pieces = [
    ...[
      '"',
      '\\',
      ',',
      ';',
      '=',
      ' ',
      'for=',
      'For="',
      '[',
      ']',
      ':',
      '%',
      'unknown',
      '_x',
      '10.0.0.9',
      '6.6.6.6',
      '::1',
    ],
    ...['"6.6.6.6"', 'for=6.6.6.6', 'for="[fd00::1]"', ', ', '\t', 'é', '\u0000', 'host="a\\"b"'],
  ];
  const junk = (length: number): string => {
    let text = '';
    for (let i = 0; i < length; i += 1) text += pieces[Math.floor(random.next() * pieces.length)];
    return text;
  };
  for (let round = 0; round < 20_000; round += 1) {
    const said = junk(Math.floor(random.next() * 12));
    assert.equal(byXForwardedFor(`${said}, ${CLIENT}`), CLIENT, said);
    assert.equal(byForwarded(`${said}, for="${CLIENT}:80";proto=https`), CLIENT, said);
    for (const found of [byXForwardedFor(said), byForwarded(said), byXForwardedFor(`${said}, 10.0.0.9`)]) {
      assert.ok(parseAddress(found), `${found} from ${said}`);
    }
  }
});

test('a long field costs time in proportion to its length', () => {
  for (const unit of ['"', '\\', '\\"', ';', 'for=', ' ', ',', '[', ':', '"\\\\']) {
    const long = unit.repeat(200_000);
    const start = performance.now();
    byForwarded(`${long}, for=10.0.0.2`);
    byXForwardedFor(`${long}, 10.0.0.2`);
    const took = performance.now() - start;
    assert.ok(took < 1000, `${took} ms for ${JSON.stringify(unit)}`);
  }
});

test('a block of trusted proxies covers its addresses and no others', () => {
  assert.equal(isTrusted('10.255.255.255'), true);
  assert.equal(isTrusted('11.0.0.0'), false);
  assert.equal(isTrusted('::ffff:10.1.2.3'), true);
  assert.equal(isTrusted('fdff::1'), true);
  assert.equal(isTrusted('fe80::1'), false);
  assert.equal(trustedProxies(['fe80::/10'])('fe80::1%eth0'), true);
  assert.equal(trustedProxies(['10.1.2.3/8'])('10.9.9.9'), true);
});

test('no blocks, nobody; and a family is not the other', () => {
  assert.equal(trustedProxies([])('127.0.0.1'), false);
  assert.equal(trustedProxies(['0.0.0.0/0'])('::1'), false);
  assert.equal(trustedProxies(['0.0.0.0/0'])('1.2.3.4'), true);
  assert.equal(trustedProxies(['::/0'])('1.2.3.4'), false);
  assert.equal(trustedProxies(['::/0'])('2001:db8::1'), true);
});

test('what is not an address is in no block', () => {
  for (const text of ['', 'unknown', '10.0.0.1:80', '10.0.0', '10.0.0.1 ']) assert.equal(isTrusted(text), false, text);
});

test('a block that is none is named', () => {
  const none = [
    '',
    '10.0.0.0',
    '10.0.0.0/33',
    '10.0.0.0/',
    '10.0.0/8',
    'fd00::/129',
    'fd00::g/8',
    '::ffff:10.0.0.0/104',
  ];
  for (const block of none) {
    assert.throws(() => trustedProxies(['127.0.0.0/8', block]), {
      message: `trusted proxy "${block}": not a CIDR block; write it like 10.0.0.0/8 or fd00::/8`,
    });
  }
});
