// The field for operators, on a whole edge: threads, real sockets, and an edge that was not given a secret.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { field } from '../../../edge-node/decide/fields.ts';
import { startOrigin } from '../../support/edge.ts';
import { request } from '../../support/raw-client.ts';
import { demo, Node } from '../../support/threads.ts';

const TOKEN = 'a-secret-of-more-than-32-characters';
const origin = await startOrigin((_req, res) => res.setHeader('cache-control', 'max-age=60').end('hello'));

test('who shows the secret is told, by whichever thread; who does not gets what everybody gets', async (t) => {
  const node = await Node.start(t, demo(1, { london: origin.address }), { debugToken: TOKEN });
  const told = async (thread: number, ...lines: string[]) => {
    const { fields } = await (await node.clientOf(thread)).ask(request('GET', '/', ...lines));
    return field(fields, 'meridian-debug');
  };
  assert.match((await told(1, `Meridian-Debug: ${TOKEN}`)) ?? '', /outcome="miss".* origin="london"/);
  assert.match((await told(2, `Meridian-Debug: ${TOKEN}`)) ?? '', /outcome="hit", tier="memory", initial-age=/);
  assert.equal(await told(1, `Meridian-Debug: ${TOKEN}x`), undefined);
  assert.equal(await told(2), undefined);
  const asked = origin.received.filter(({ fields }) => field(fields, 'host') === 'demo.example');
  assert.equal(asked.length, 1);
  assert.doesNotMatch(asked[0]?.fields.join('\n') ?? '', /secret/);
  assert.equal(await node.metric('meridian_debug_requests_total{outcome="answered"}'), 2);
  assert.equal(await node.metric('meridian_debug_requests_total{outcome="wrong-secret"}'), 1);
});

test('an edge without a secret tells nobody, whatever is shown', async (t) => {
  const node = await Node.start(t, demo(1, { london: origin.address }));
  for (const said of ['', 'undefined', TOKEN]) {
    const { status, fields } = await (await node.client()).ask(request('GET', '/', `Meridian-Debug: ${said}`));
    assert.deepEqual([status, field(fields, 'meridian-debug')], [200, undefined]);
  }
});
