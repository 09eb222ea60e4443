// Requests that are remembered: which, for whom, and for how long.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RequestHead } from '../../../../edge-node/decide/admit.ts';
import { type KnownRequest, RequestMemo } from '../../../../edge-node/pipeline/request-memo.ts';
import { World } from '../../../support/pipeline.ts';

const FIELDS = ['host', 'demo.example'];
const REQUEST: RequestHead = {
  method: 'GET',
  target: '/a',
  fields: FIELDS,
  recurring: true,
  version: '1.1',
  scheme: 'http',
  sni: undefined,
  peer: '192.0.2.1',
  hasBody: false,
};

const { serving = assert.fail() } = new World();
const site = serving.snapshot.hosts.get('demo.example') ?? assert.fail();
const route = site.routes[0] ?? assert.fail();
const MADE: Omit<KnownRequest, 'request'> = {
  admitted: { kind: 'admitted', host: 'demo.example', authority: 'demo.example', target: '/a', path: '/a' },
  site,
  route,
  requestClass: { kind: 'bypass', reason: 'method' },
  target: '/a',
  key: 'key',
};

/** As the steps do. */
function meet(memo: RequestMemo, request: RequestHead, under = serving): string | undefined {
  const known = memo.find(request, under);
  if (known === undefined) memo.keep(request, { ...MADE, key: request.target });
  return known?.key;
}

test('a request that came twice is known the third time', () => {
  const memo = new RequestMemo();
  assert.deepEqual([meet(memo, REQUEST), meet(memo, REQUEST), meet(memo, REQUEST)], [undefined, undefined, '/a']);
  assert.equal(meet(memo, { ...REQUEST, peer: '192.0.2.2' }), '/a', 'whoever asks');
});

test('no other request is taken for it, even in the same slot', () => {
  const others: Partial<RequestHead>[] = [
    { target: '/b' },
    { method: 'HEAD' },
    { fields: [...FIELDS] },
    { version: '1.0' },
    { scheme: 'https' },
    { sni: 'demo.example' },
    { recurring: false },
  ];
  for (const other of others) {
    const memo = new RequestMemo(1);
    for (let i = 0; i < 3; i += 1) meet(memo, REQUEST);
    assert.equal(memo.find({ ...REQUEST, ...other }, serving), undefined, JSON.stringify(other));
    assert.ok(memo.find(REQUEST, serving));
  }
});

test('another snapshot forgets all, and going back to the first brings nothing back', () => {
  const memo = new RequestMemo();
  for (let i = 0; i < 3; i += 1) meet(memo, REQUEST);
  assert.equal(memo.find(REQUEST, { ...serving }), undefined);
  assert.equal(memo.find(REQUEST, serving), undefined);
});

test('what comes once, has a list of fields of its own, or a long target takes no place', () => {
  const memo = new RequestMemo(1);
  for (let i = 0; i < 3; i += 1) meet(memo, REQUEST);
  const strangers: Partial<RequestHead>[] = [
    { target: '/once' },
    { recurring: false },
    { target: `/${'a'.repeat(512)}` },
  ];
  for (const stranger of strangers) {
    for (let i = 0; i < (stranger.target === '/once' ? 1 : 3); i += 1) meet(memo, { ...REQUEST, ...stranger });
    assert.ok(memo.find(REQUEST, serving), JSON.stringify(stranger).slice(0, 40));
  }
});
