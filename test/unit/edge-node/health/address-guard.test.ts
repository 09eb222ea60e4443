// What an edge never connects to, in every notation that it can come in.
import assert from 'node:assert/strict';
import { isIP } from 'node:net';
import { test } from 'node:test';
import { judgeAddress } from '../../../../edge-node/decide/address-guard.ts';
import { seededRandom } from '../../../../infra/runtime/random.ts';

test('public, private and loopback addresses are allowed', () => {
  for (const address of ['8.8.8.8', '127.0.0.1', '10.0.0.1', '192.168.1.1', '169.253.255.255', '169.255.0.0']) {
    assert.equal(judgeAddress(address).kind, 'allowed', address);
  }
  for (const address of ['::1', '::', '2001:db8::1', 'fd00:ec1::254', 'fc00::1', 'fec0::1', '::ffff:10.0.0.1']) {
    assert.equal(judgeAddress(address).kind, 'allowed', address);
  }
});

test('link-local addresses are denied', () => {
  for (const address of ['169.254.0.0', '169.254.169.254', '169.254.255.255', 'fe80::1', 'FE80::1%eth0', 'febf::1']) {
    assert.deepEqual(judgeAddress(address), { kind: 'denied', reason: 'link-local' }, address);
  }
});

test('metadata addresses elsewhere are denied', () => {
  for (const address of ['100.100.100.200', '192.0.0.192', '168.63.129.16', 'fd00:ec2::254', 'fd20:ce::254']) {
    assert.deepEqual(judgeAddress(address), { kind: 'denied', reason: 'cloud-metadata' }, address);
  }
});

test('an IPv6 address that carries a denied IPv4 address is denied', () => {
  const carriers = [
    '::ffff:169.254.169.254',
    '::ffff:a9fe:a9fe',
    '0:0:0:0:0:FFFF:A9FE:A9FE',
    '::169.254.169.254',
    '64:ff9b::169.254.169.254',
    '64:ff9b:1::a9fe:a9fe',
    '2002:a9fe:a9fe::1',
  ];
  for (const address of carriers) assert.equal(judgeAddress(address).kind, 'denied', address);
});

test('what is not an address is denied', () => {
  for (const text of [
    '',
    'localhost',
    '1.2.3',
    '1.2.3.256',
    ':::',
    '1::2::3',
    '1:2:3',
    '[::1]',
    '0x7f.1.1.1',
    '12345::',
  ]) {
    assert.deepEqual(judgeAddress(text), { kind: 'denied', reason: 'not-an-address' }, text);
  }
});

test('it takes for an address just what Node takes for one', () => {
  const random = seededRandom(11);
  const alphabet = [':', '::', '.', '0', '1', '255', '256', 'fe80', 'ffff', 'g', '%1'];
  let addresses = 0;
  for (let round = 0; round < 20_000; round += 1) {
    const length = 1 + Math.floor(random.next() * 16);
    const text = Array.from({ length }, () => alphabet[Math.floor(random.next() * alphabet.length)]).join('');
    const verdict = judgeAddress(text);
    const isAddress = !(verdict.kind === 'denied' && verdict.reason === 'not-an-address');
    if (isIP(text) !== 0) {
      addresses += 1;
      assert.ok(isAddress, text);
    } else if (!text.includes('%')) assert.ok(!isAddress, text);
  }
  assert.ok(addresses > 100, `only ${addresses} addresses were made`);
});
