// Who may see inside.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DebugToken, debugTokenProblem } from '../../../edge-node/io/debug-token.ts';
import { Metrics } from '../../../infra/runtime/metrics.ts';

const TOKEN = 'a-secret-of-more-than-32-characters';
const nobody = () => false;

function request(said: string | undefined, over: { scheme?: 'http' | 'https'; peer?: string } = {}) {
  const fields = ['host', 'demo.example', ...(said === undefined ? [] : ['meridian-debug', said])];
  const rest = { method: 'GET', target: '/', version: '1.1', sni: undefined, hasBody: false } as const;
  return { ...rest, fields, scheme: 'https' as const, peer: '192.0.2.1', ...over };
}

test('the secret opens, and nothing else does', () => {
  const token = new DebugToken(TOKEN, new Metrics());
  assert.equal(token.opens(request(TOKEN), nobody), true);
  for (const said of [undefined, '', ' ', TOKEN.slice(1), `${TOKEN}x`, TOKEN.toUpperCase(), `${TOKEN}, ${TOKEN}`]) {
    assert.equal(token.opens(request(said), nobody), false, String(said));
  }
  assert.equal(
    token.opens({ ...request(TOKEN), fields: [...request(TOKEN).fields, 'meridian-debug', ''] }, nobody),
    false,
  );
});

test('in clear text it opens only where nobody else can have read it', () => {
  const token = new DebugToken(TOKEN, new Metrics());
  const opens = (peer: string, trusted = nobody) => token.opens(request(TOKEN, { scheme: 'http', peer }), trusted);
  assert.equal(opens('192.0.2.1'), false);
  assert.equal(
    opens('192.0.2.1', (peer?: string) => peer === '192.0.2.1'),
    true,
  );
  for (const peer of ['127.0.0.1', '127.9.9.9', '::1']) assert.equal(opens(peer), true, peer);
  for (const peer of ['128.0.0.1', '::2', '127.example']) assert.equal(opens(peer), false, peer);
});

test('what came of it is counted, and the secret is nowhere in that', () => {
  const metrics = new Metrics();
  const token = new DebugToken(TOKEN, metrics);
  token.opens(request(TOKEN), nobody);
  token.opens(request('wrong'), nobody);
  token.opens(request('wrong'), nobody);
  token.opens(request(TOKEN, { scheme: 'http' }), nobody);
  token.opens(request(undefined), nobody);
  const text = metrics.render();
  for (const [outcome, count] of Object.entries({ answered: 1, 'wrong-secret': 2, 'in-clear-text': 1 })) {
    assert.match(text, new RegExp(`meridian_debug_requests_total\\{outcome="${outcome}"\\} ${count}\\n`));
  }
  assert.ok(!text.includes(TOKEN));
});

test('a secret that could be guessed, or not be sent, is none', () => {
  assert.equal(debugTokenProblem(TOKEN), undefined);
  for (const bad of [
    '',
    'short',
    'x'.repeat(31),
    'x'.repeat(257),
    `${'x'.repeat(40)} y`,
    `${'x'.repeat(40)}\ny`,
    'é'.repeat(40),
  ]) {
    assert.match(debugTokenProblem(bad) ?? '', /^expected one line of 32 to 256/, bad);
  }
});
