// What of a request reaches an origin, and what of its answer reaches a client.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { combinedField, countField, type FieldList, field } from '../../../../edge-node/decide/fields.ts';
import {
  type ForwardContext,
  forwardedFor,
  forwardRequestFields,
  loopToken,
  responseFields,
  responseFraming,
  variesBeyondKey,
} from '../../../../edge-node/decide/forward.ts';
import { head } from './support.ts';

const CONTEXT: ForwardContext = {
  edge: 'edge-1',
  authority: 'demo.example',
  forwardedFor: '192.0.2.1',
  mode: 'cacheable',
  conditions: [],
};
const DATE = 'Tue, 14 Nov 2023 22:13:20 GMT';

/** What an origin gets of a request with `fields`. */
function forwarded(fields: readonly string[], context: Partial<ForwardContext> = {}): FieldList {
  return forwardRequestFields(head({}, fields), { ...CONTEXT, ...context });
}

/** Names of the fields that are kept, of those given, each with the value "x". */
function kept(names: readonly string[], more: readonly string[] = [], context: Partial<ForwardContext> = {}): string[] {
  const out = forwarded([...names.flatMap((name) => [name, 'x']), ...more], context);
  return names.filter((name) => field(out, name) === 'x');
}

function answered(fields: FieldList): FieldList {
  return responseFields(fields, DATE);
}

test('an origin gets the host, the fields of the request, and who asks through whom', () => {
  assert.deepEqual(forwarded(['accept', '*/*', 'cookie', 'a=b']), [
    ...['host', 'demo.example', 'accept', '*/*', 'cookie', 'a=b'],
    ...['via', '1.1 edge-1', 'cdn-loop', 'meridian-edge-1'],
    ...['x-forwarded-for', '192.0.2.1', 'x-forwarded-proto', 'http', 'x-forwarded-host', 'demo.example'],
  ]);
});

test('Host is the canonical authority, whatever the client wrote', () => {
  const request = head({ host: ['DEMO.example.'], target: 'http://other.example/' });
  const out = forwardRequestFields(request, { ...CONTEXT, authority: 'other.example' });
  assert.equal(combinedField(out, 'host'), 'other.example');
  assert.equal(countField(out, 'host'), 1);
});

test('repeated fields stay apart and in order', () => {
  const out = forwarded(['cookie', 'a=1', 'accept', '*/*', 'cookie', 'b=2']);
  assert.deepEqual(out.slice(2, 8), ['cookie', 'a=1', 'accept', '*/*', 'cookie', 'b=2']);
});

test('hop-by-hop fields end here', () => {
  const names = [
    'keep-alive',
    'proxy-authorization',
    'proxy-connection',
    'te',
    'trailer',
    'transfer-encoding',
    'upgrade',
  ];
  assert.deepEqual(kept([...names, 'accept']), ['accept']);
  assert.deepEqual(kept(names, [], { mode: 'bypass' }), []);
  assert.equal(field(forwarded(['connection', 'close']), 'connection'), undefined);
  assert.equal(field(forwarded(['expect', '100-continue']), 'expect'), undefined);
});

test('fields that Connection names end here too', () => {
  assert.deepEqual(kept(['x-a', 'x-b', 'x-c'], ['connection', 'close, X-A', 'connection', '"x-q", x-b ,']), ['x-c']);
});

test('Connection cannot take away what an origin decides by', () => {
  const names = ['authorization', 'cookie', 'cache-control', 'content-length', 'content-type', 'date'];
  assert.deepEqual(kept(names, ['connection', names.join(', ')], { mode: 'bypass' }), names);
  const named = 'Host, X-Forwarded-For, x-forwarded-host, X-Forwarded-Proto, Via, CDN-Loop, Forwarded';
  assert.deepEqual(forwarded(['connection', named]), forwarded([]));
});

test('X-Forwarded fields are written afresh, and Forwarded is dropped', () => {
  const lies = ['for', 'host', 'proto', 'port', 'server', 'prefix', 'anything'].map((name) => `x-forwarded-${name}`);
  const out = forwarded([...lies.flatMap((name) => [name, 'evil.example']), 'forwarded', 'for=evil.example']);
  assert.deepEqual(out, forwarded([]));
  assert.equal(field(forwardRequestFields(head({ scheme: 'https' }), CONTEXT), 'x-forwarded-proto'), 'https');
});

test('the chain in X-Forwarded-For is that of a trusted peer, and starts anew behind any other', () => {
  const request = head({}, ['x-forwarded-for', '203.0.113.9', 'x-forwarded-for', '198.51.100.7']);
  const trusted = () => true;
  assert.equal(forwardedFor(request, trusted), '203.0.113.9, 198.51.100.7, 192.0.2.1');
  assert.equal(
    forwardedFor(request, () => false),
    '192.0.2.1',
  );
  assert.equal(forwardedFor(head(), trusted), '192.0.2.1');
  assert.equal(forwardedFor(head({}, ['x-forwarded-for', '']), trusted), '192.0.2.1');
});

test('Via and CDN-Loop grow by this edge', () => {
  const request = head({ version: '1.0' }, [
    'via',
    '1.1 a',
    'cdn-loop',
    'other',
    'via',
    '2 b',
    'cdn-loop',
    'third;x=1',
  ]);
  const out = forwardRequestFields(request, CONTEXT);
  assert.equal(combinedField(out, 'via'), '1.1 a, 2 b, 1.0 edge-1');
  assert.equal(combinedField(forwardRequestFields(head({ version: '2' }), CONTEXT), 'via'), '2 edge-1');
  assert.equal(combinedField(out, 'cdn-loop'), `other, third;x=1, ${loopToken('edge-1')}`);
  assert.equal(countField(out, 'via') + countField(out, 'cdn-loop'), 2);
});

test('fields that change method, host, path or client behind the cache’s back are dropped', () => {
  const methods = ['x-http-method', 'x-http-method-override', 'x-method-override'];
  const paths = ['x-original-url', 'x-rewrite-url', 'x-original-host', 'x-host'];
  const clients = ['x-real-ip', 'x-client-ip', 'true-client-ip', 'cf-connecting-ip'];
  assert.deepEqual(kept([...methods, ...paths, ...clients, 'x-other']), ['x-other']);
  assert.deepEqual(kept([...methods, ...paths, ...clients], [], { mode: 'bypass' }), []);
});

test('conditions and ranges go along only where the answer will not be stored', () => {
  const names = ['if-none-match', 'if-modified-since', 'if-match', 'if-unmodified-since', 'if-range', 'range'];
  assert.deepEqual(kept(names), []);
  assert.deepEqual(kept(names, [], { mode: 'bypass' }), names);
});

test('the cache’s own conditions take the place of the client’s', () => {
  const out = forwarded(['if-none-match', '"client"'], { conditions: ['if-none-match', '"stored"'] });
  assert.equal(combinedField(out, 'if-none-match'), '"stored"');
});

test('a client gets what the origin said, with a Date', () => {
  assert.deepEqual(answered(['content-type', 'text/plain', 'set-cookie', 'a', 'set-cookie', 'b']), [
    ...['content-type', 'text/plain', 'set-cookie', 'a', 'set-cookie', 'b', 'date', DATE],
  ]);
  assert.deepEqual(answered(['date', 'Mon, 01 Jan 2024 00:00:00 GMT']), ['date', 'Mon, 01 Jan 2024 00:00:00 GMT']);
});

test('a client learns nothing about the origin’s software, nor the way past the edge', () => {
  const names = ['server', 'x-powered-by', 'x-aspnet-version', 'x-aspnetmvc-version', 'x-runtime', 'x-backend-server'];
  const fields = [...names, 'via', 'alt-svc', 'etag'].flatMap((name) => [name, 'x']);
  assert.deepEqual(answered(fields), ['etag', 'x', 'date', DATE]);
});

test('the origin’s hop-by-hop fields end here, but Connection cannot take away what a cache goes by', () => {
  const hops = ['keep-alive', 'transfer-encoding', 'trailer', 'upgrade', 'proxy-authenticate', 'proxy-connection'];
  const named = ['connection', 'close, x-a, set-cookie, cache-control, content-type'];
  const ends = ['set-cookie', 'cache-control', 'content-type'];
  const fields = [...hops, 'x-a', ...ends].flatMap((name) => [name, 'x']);
  assert.deepEqual(answered([...named, ...fields]), [...ends.flatMap((name) => [name, 'x']), 'date', DATE]);
});

test('what varies by a field that the origin saw otherwise varies beyond the key', () => {
  const fields = ['accept', 'a', 'connection', 'X-Lang, cookie'];
  assert.equal(variesBeyondKey([], fields), false);
  assert.equal(variesBeyondKey(['accept', 'cookie', 'x-forwarded-host', 'x-forwarded-proto'], fields), false);
  assert.equal(variesBeyondKey(['accept', 'x-forwarded-for'], []), true);
  assert.equal(variesBeyondKey(['x-lang'], fields), true);
  assert.equal(variesBeyondKey(['x-lang'], []), false);
});

test('an answer is framed by its length, else in chunks; a length that is none is malformed', () => {
  assert.deepEqual(responseFraming(['content-length', '12']), { kind: 'length', length: 12 });
  assert.deepEqual(responseFraming(['content-length', '0']), { kind: 'length', length: 0 });
  assert.deepEqual(responseFraming(['content-type', 'a']), { kind: 'chunked' });
  for (const value of ['', '-1', '+1', '1, 1', '1.0', '0x1', ' 1', '1e3', '9'.repeat(16)]) {
    assert.equal(responseFraming(['content-length', value]).kind, 'malformed', value);
  }
  assert.equal(responseFraming(['content-length', '1', 'content-length', '1']).kind, 'malformed');
  assert.deepEqual(responseFraming(['transfer-encoding', 'Chunked']), { kind: 'chunked' });
  for (const value of ['gzip', 'gzip, chunked', 'chunked, chunked', '']) {
    assert.equal(responseFraming(['transfer-encoding', value]).kind, 'malformed', value);
  }
});

test('what was made of a list of fields is used again only where everything else is the same', () => {
  const fields = Object.freeze(['host', 'demo.example', 'accept', '*/*']);
  const make = (context: Partial<ForwardContext>, request: Partial<ReturnType<typeof head>> = {}) =>
    forwardRequestFields({ ...head(), fields, ...request }, { ...CONTEXT, ...context });
  const first = make({});
  assert.equal(make({}), first, 'the same list');
  const others: [string, string, FieldList][] = [
    ['host', 'other.example', make({ authority: 'other.example' })],
    ['x-forwarded-for', '192.0.2.9', make({ forwardedFor: '192.0.2.9' })],
    ['via', '1.1 edge-2', make({ edge: 'edge-2' })],
    ['via', '1.0 edge-1', make({}, { version: '1.0' })],
    ['x-forwarded-proto', 'https', make({}, { scheme: 'https' })],
    ['if-none-match', '"a"', make({ conditions: ['if-none-match', '"a"'] })],
  ];
  for (const [name, value, out] of others) assert.equal(field(out, name), value, name);
  assert.equal(field(make({}), 'if-none-match'), undefined);
  const conditional = Object.freeze(['host', 'demo.example', 'range', 'bytes=0-']);
  const range = (mode: ForwardContext['mode']) =>
    field(forwardRequestFields({ ...head(), fields: conditional }, { ...CONTEXT, mode }), 'range');
  assert.deepEqual([range('bypass'), range('cacheable'), range('bypass')], ['bytes=0-', undefined, 'bytes=0-']);
});
