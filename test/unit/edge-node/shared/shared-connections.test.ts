// How connections are counted over threads, and when one is too many.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { allocateSharedConnections, SharedConnections } from '../../../../edge-node/io/shared/shared-connections.ts';
import { seededRandom } from '../../../../infra/runtime/random.ts';

const KEY = { k0: 1, k1: 2 };

function pair(connections: number, perClient: number): [SharedConnections, SharedConnections] {
  const handles = allocateSharedConnections({ connections, perClient }, 2, KEY);
  return [new SharedConnections(handles, 0), new SharedConnections(handles, 1)];
}

test('a client has so many connections at once, whichever threads they are at', () => {
  const [a, b] = pair(100, 2);
  assert.equal(a.open('192.0.2.1', true), undefined);
  assert.equal(b.open('192.0.2.1', true), undefined);
  assert.equal(a.open('192.0.2.1', true), 'too-many-connections-of-client');
  assert.equal(b.open('192.0.2.2', true), undefined);
  b.close('192.0.2.1');
  assert.equal(a.open('192.0.2.1', true), undefined);
  assert.equal(a.total(), 3);
});

test('who is not limited is counted all the same, and falls under the limit of all', () => {
  const [a, b] = pair(3, 1);
  for (const thread of [a, b, a]) assert.equal(thread.open('192.0.2.1', false), undefined);
  assert.equal(b.open('192.0.2.1', false), 'too-many-connections');
  assert.equal(b.open('192.0.2.9', true), 'too-many-connections');
  assert.equal(b.total(), 3);
});

test('all addresses of an IPv6 network of 64 bits are one client, however they are written', () => {
  const [a] = pair(100, 1);
  assert.equal(a.open('2001:db8::1', true), undefined);
  assert.equal(a.open('2001:db8:0:0:ffff::2', true), 'too-many-connections-of-client');
  assert.equal(a.open('2001:db8:0:1::1', true), undefined);
  assert.equal(a.open('::ffff:192.0.2.1', true), undefined);
  assert.equal(a.open('192.0.2.1', true), 'too-many-connections-of-client');
  a.close('2001:db8::5');
  assert.equal(a.open('2001:db8::1', true), undefined);
});

test('the connections of a thread that dies are gone with it, and its place can be taken', () => {
  const [a, b] = pair(100, 2);
  a.open('192.0.2.1', true);
  b.open('192.0.2.1', true);
  a.recover(1);
  assert.equal(a.total(), 1);
  assert.equal(a.open('192.0.2.1', true), undefined);
  assert.equal(b.open('192.0.2.1', true), 'too-many-connections-of-client');
});

test('among 20,000 connections of many clients, next to none is refused for another', () => {
  const [a] = pair(1_000_000, 50);
  const random = seededRandom(7);
  const address = () => [10, ...[1, 2, 3].map(() => Math.floor(random.next() * 256))].join('.');
  let refused = 0;
  for (let i = 0; i < 20_000; i += 1) if (a.open(address(), true) !== undefined) refused += 1;
  assert.equal(refused, 0);
});

test('limits that make no sense are refused by name', () => {
  assert.throws(() => allocateSharedConnections({ connections: 0, perClient: 1 }, 1, KEY), /limit connections:/);
  assert.throws(() => allocateSharedConnections({ connections: 1, perClient: 0.5 }, 1, KEY), /limit perClient:/);
  const one = allocateSharedConnections({ connections: 1, perClient: 1 }, 1, KEY);
  assert.throws(() => new SharedConnections(one, 1), /expected 0 to 0, found 1/);
});
