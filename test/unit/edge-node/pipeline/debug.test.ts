// Requests of an operator who may see inside: what the answer says, and that neither origin nor cache knows of it.
import assert from 'node:assert/strict';
import { DEBUG_FIELD, withDebug } from '../../../../edge-node/decide/debug-text.ts';
import { combinedField, countField, type FieldList, field } from '../../../../edge-node/decide/fields.ts';
import { parseDictionary } from '../../../../edge-node/decide/structured-fields.ts';
import { debuggedExchange } from '../../../../edge-node/pipeline/debug.ts';
import { FakeClient, type RequestOptions } from '../../../support/fake-ports.ts';
import { pipelineTest, type World } from '../../../support/pipeline.ts';

const SECRET = ['meridian-debug', 'the secret'];
const FRESH = ['cache-control', 'max-age=60, stale-if-error=9', 'age', '2', 'surrogate-key', 'red'];

/** A request that may see inside. */
function look(world: World, { fields = [], ...options }: RequestOptions = {}): FakeClient {
  const client = new FakeClient({ ...options, fields: [...fields, ...SECRET] });
  world.start(client, (ports) => debuggedExchange(client, world.clock.monotonic(), ports));
  return client;
}

/** What an answer says, by name. */
function seen(client: { readonly fields: FieldList }): Record<string, unknown> {
  const text = field(client.fields, DEBUG_FIELD) ?? assert.fail('nothing is told');
  const members = parseDictionary(text) ?? assert.fail(`not a dictionary: ${text}`);
  return Object.fromEntries(
    [...members].map(([name, member]) => [name, 'value' in member ? member.value.value : member]),
  );
}

pipelineTest('a hit tells key, place, the sum of its age and the version, and is kept by nobody', (world) => {
  world.store('hello', FRESH);
  world.clock.advance(10_500);
  const client = look(world);
  assert.deepEqual([client.status, client.text], [200, 'hello']);
  const told = seen(client);
  assert.deepEqual(
    { ...told, version: typeof told.version },
    {
      edge: 'edge-1',
      version: 'string',
      client: '192.0.2.1',
      site: 'demo',
      route: '/',
      pool: 'cities',
      key: 'http://demo.example/',
      outcome: 'hit',
      tier: 'memory',
      'initial-age': 2,
      resident: 10.5,
      age: 12.5,
      lifetime: 60,
      'lifetime-source': 'max-age',
      ttl: 47.5,
      'stale-if-error': 9,
      tags: 'red',
      'requested-after': 0,
      purges: 0,
    },
  );
  assert.match(combinedField(client.fields, 'cache-control') ?? '', /, no-store$/);
});

pipelineTest('neither the origin nor the cache sees the secret, and the next client no trace of it', (world) => {
  const client = look(world, { target: '/a' });
  const call = world.call();
  assert.doesNotMatch(call.request.fields.join('\n'), /debug|secret/);
  call.answer(200, 'hello', [...FRESH, 'vary', 'Meridian-Debug', 'meridian-debug', 'forged']);
  assert.deepEqual([countField(client.fields, DEBUG_FIELD), seen(client).outcome], [1, 'miss']);
  const next = world.request({ target: '/a' });
  assert.deepEqual([next.text, next.cache?.includes('hit')], ['hello', true]);
  assert.doesNotMatch(next.fields.join('\n'), /secret|forged|no-store/);
  assert.equal(field(next.fields, DEBUG_FIELD), undefined);
});

pipelineTest('the secret of a client that may not see inside does not reach the origin either', (world) => {
  const client = world.request({ fields: SECRET });
  const call = world.call();
  assert.doesNotMatch(call.request.fields.join('\n'), /debug|secret/);
  call.answer(200, 'hello', ['meridian-debug', 'forged']);
  assert.equal(field(client.fields, DEBUG_FIELD), undefined);
});

pipelineTest('a miss tells why, and which origin was asked', (world) => {
  world.store('hello', FRESH);
  world.clock.advance(61_000);
  const stale = look(world);
  world.call().answer(200, 'new', FRESH);
  const told = seen(stale);
  assert.deepEqual([told.outcome, told.forward, told.origin, told.attempts], ['miss', 'expired', 'london', 1]);
  assert.deepEqual([told.age, told.lifetime, told.tier], [2, 60, undefined]);
  const other = look(world, { target: '/b' });
  world.call().fail('connect');
  world.call().answer(200, 'b', FRESH);
  assert.deepEqual([seen(other).forward, seen(other).origin, seen(other).attempts], ['uri-miss', 'paris', 2]);
});

pipelineTest('a refusal tells what is known by then', (world) => {
  const told = seen(look(world, { host: 'other.example' }));
  assert.deepEqual([told.failure, told.site, told.key, told.outcome], ['unknown-host', undefined, undefined, 'none']);
  world.serving = undefined;
  assert.deepEqual([seen(look(world)).failure, seen(look(world)).version], ['no-configuration', undefined]);
});

pipelineTest('conditions, parts and HEAD are answered as ever', (world) => {
  world.store('hello', [...FRESH, 'etag', '"a"']);
  const unchanged = look(world, { fields: ['if-none-match', '"a"'] });
  assert.deepEqual([unchanged.status, seen(unchanged).outcome], [304, 'hit']);
  const part = look(world, { fields: ['range', 'bytes=0-1'] });
  assert.deepEqual([part.status, part.text, seen(part).outcome], [206, 'he', 'hit']);
  const head = look(world, { method: 'HEAD' });
  assert.deepEqual([head.status, head.text, head.length], [200, '', 5]);
});

pipelineTest('a slow client and one that leaves are heard as ever', (world) => {
  const slow = look(world, { target: '/slow' });
  const call = world.call();
  call.head(200, ['content-length', '4']);
  slow.slow = true;
  call.data('ab');
  assert.equal(call.paused, true);
  slow.slow = false;
  slow.onDrain?.();
  assert.equal(call.paused, false);
  slow.onGone?.();
  assert.equal(world.last.end, 'client-gone');
});

pipelineTest('what the values hold cannot end them, nor be told from what they are', (world) => {
  world.store('hello', ['cache-control', 'max-age=60', 'vary', 'X-A'], { target: '/a?"b', fields: ['x-a', 'é"\\'] });
  const client = look(world, { target: '/a?"b', fields: ['x-a', 'é"\\'] });
  assert.equal(seen(client).key, 'http://demo.example/a?%22b');
});

pipelineTest('no field is left by which a cache on the way would keep the answer', () => {
  const fields = ['cdn-cache-control', 'max-age=60', 'a-cache-control', 'x', 'surrogate-control', 'x', 'expires', 'x'];
  assert.deepEqual(withDebug([...fields, 'x', '1'], 'a=1'), [
    ...['x', '1', 'cache-control', 'no-store', 'meridian-debug', 'a=1'],
  ]);
});
