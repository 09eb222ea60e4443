// Which requests are taken, and what they ask for.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { admit, type RequestHead } from '../../../../edge-node/decide/admit.ts';
import { FAILURES } from '../../../../edge-node/decide/errors.ts';
import { head } from './support.ts';

const TOKEN = 'meridian-edge-1';

/** "authority target" of an admitted request, or the code of its refusal. */
function outcome(request: RequestHead): string {
  const admission = admit(request, TOKEN);
  return admission.kind === 'admitted' ? `${admission.authority} ${admission.target}` : admission.failure.code;
}

test('a plain request is taken as it is', () => {
  assert.deepEqual(admit(head({ target: '/a?b' }), TOKEN), {
    kind: 'admitted',
    host: 'demo.example',
    authority: 'demo.example',
    target: '/a?b',
    path: '/a',
  });
});

test('the methods of HTTP are taken, but no tunnels, no traces and none that nobody knows', () => {
  for (const method of ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']) {
    assert.equal(outcome(head({ method })), 'demo.example /', method);
  }
  for (const method of ['TRACE', 'CONNECT', 'PURGE', 'PROPFIND', 'get', '']) {
    assert.equal(outcome(head({ method })), 'method-not-allowed', method);
  }
});

test('HTTP/1.1 needs one Host, HTTP/1.0 at least something to go by', () => {
  assert.equal(outcome(head({ host: [] })), 'malformed-host');
  assert.equal(outcome(head({ host: ['a', 'a'] })), 'malformed-host');
  assert.equal(outcome(head({ host: ['a', 'b'], version: '1.0' })), 'malformed-host');
  assert.equal(outcome(head({ host: [], version: '1.0' })), 'malformed-host');
  assert.equal(outcome(head({ host: [], version: '1.0', target: 'http://a/' })), 'a /');
});

test('a Host that is no hostname is refused', () => {
  for (const host of ['', ' ', 'a b', 'a/b', 'a,b', 'user@a', 'a:0', 'a:b', `${'a.'.repeat(200)}a`]) {
    assert.equal(outcome(head({ host: [host] })), 'malformed-host', host);
  }
});

test('the canonical hostname is in lower case, without a final dot and without the port of the scheme', () => {
  assert.equal(outcome(head({ host: ['Demo.EXAMPLE.'] })), 'demo.example /');
  assert.equal(outcome(head({ host: ['demo.example:80'] })), 'demo.example /');
  assert.equal(outcome(head({ host: ['demo.example:443'] })), 'demo.example:443 /');
  assert.equal(outcome(head({ host: ['demo.example:443'], scheme: 'https' })), 'demo.example /');
  assert.equal(outcome(head({ host: ['demo.example:8080'] })), 'demo.example:8080 /');
  assert.equal(outcome(head({ host: ['[::1]:8080'] })), '[::1]:8080 /');
});

test('a host other than the one that the connection was made for is misdirected', () => {
  const secure = { scheme: 'https', sni: 'demo.example' } as const;
  assert.equal(outcome(head(secure)), 'demo.example /');
  assert.equal(outcome(head({ ...secure, host: ['Demo.Example.:443'] })), 'demo.example /');
  assert.equal(outcome(head({ ...secure, host: ['demo.example:8443'] })), 'demo.example:8443 /');
  assert.equal(outcome(head({ ...secure, host: ['other.example'] })), 'misdirected');
  assert.equal(outcome(head({ ...secure, target: 'https://other.example/' })), 'misdirected');
  assert.equal(outcome(head({ ...secure, sni: undefined, host: ['other.example'] })), 'other.example /');
  assert.equal(FAILURES.misdirected.status, 421);
});

test('the target becomes canonical before anyone looks at it', () => {
  assert.equal(outcome(head({ target: '/a/%2e%2e/%61?%7e' })), 'demo.example /a?~');
  for (const target of ['/a%2fb', '/%00', '/a\\b', '/..;/a', '/a#b', '/%', '*', 'a', '']) {
    assert.equal(outcome(head({ target })), 'malformed-target', target);
  }
});

test('absolute-form wins over Host, which must be sound all the same', () => {
  assert.equal(outcome(head({ target: 'http://other.example/a' })), 'other.example /a');
  assert.equal(outcome(head({ target: 'HTTP://Other.example:81' })), 'other.example:81 /');
  assert.equal(outcome(head({ target: 'http://other.example?q' })), 'other.example /?q');
  assert.equal(outcome(head({ target: 'http://a/', host: ['a b'] })), 'malformed-host');
  assert.equal(outcome(head({ target: 'http://a/', host: [] })), 'malformed-host');
  assert.equal(outcome(head({ target: 'http://a b/' })), 'malformed-host');
  assert.equal(outcome(head({ target: 'http://user@a/' })), 'malformed-host');
  assert.equal(outcome(head({ target: 'http:///a' })), 'malformed-host');
  assert.equal(outcome(head({ target: 'ftp://a/' })), 'malformed-target');
  assert.equal(outcome(head({ target: 'http://a/b#c' })), 'malformed-target');
});

test('a target is refused when it is too long, as it came or once it is escaped', () => {
  assert.equal(outcome(head({ target: `/${'a'.repeat(7_999)}` })), `demo.example /${'a'.repeat(7_999)}`);
  assert.equal(outcome(head({ target: `/${'a'.repeat(8_000)}` })), 'target-too-long');
  assert.equal(outcome(head({ target: `/${'|'.repeat(7_000)}` })), 'target-too-long');
});

test('a request that was here before is refused', () => {
  const withLoop = (...values: string[]) =>
    outcome(
      head(
        {},
        values.flatMap((value) => ['cdn-loop', value]),
      ),
    );
  for (const value of [TOKEN, `other, ${TOKEN}`, `${TOKEN};v=1`, `other ,\t${TOKEN} ; a=b, third`, 'Meridian-Edge-1']) {
    assert.equal(withLoop(value), 'loop', value);
  }
  assert.equal(withLoop('other', TOKEN), 'loop');
  for (const value of ['', 'other', `${TOKEN}-2`, `x-${TOKEN}`, `other;by=${TOKEN}`, ',,']) {
    assert.equal(withLoop(value), 'demo.example /', value);
  }
});

test('thousands of hostnames leave nothing behind that changes the answer', () => {
  for (let i = 0; i < 2_500; i += 1) assert.equal(outcome(head({ host: [`h${i}.example`] })), `h${i}.example /`);
  assert.equal(outcome(head({ host: ['h1.example'] })), 'h1.example /');
  assert.equal(outcome(head({ host: ['h 1'] })), 'malformed-host');
});

test('every refusal is the client’s fault and has a status that says so', () => {
  const refused = [
    head({ method: 'TRACE' }),
    head({ host: [] }),
    head({ target: '*' }),
    head({ target: `/${'a'.repeat(9_000)}` }),
  ];
  const statuses = refused.map((request) => {
    const admission = admit(request, TOKEN);
    assert.ok(admission.kind === 'refused');
    assert.equal(FAILURES[admission.failure.code].source, 'client');
    return FAILURES[admission.failure.code].status;
  });
  assert.deepEqual(statuses, [405, 400, 400, 414]);
});
