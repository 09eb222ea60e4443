// One form for every URL: what is the same becomes the same string, and what can be read in two ways is refused.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Random, seededRandom } from '../../../infra/runtime/random.ts';
import { canonicalHost, canonicalTarget, canonicalUrl } from '../../../proto/canonical-url.ts';

/** The canonical form, or why there is none. */
function target(text: string): string {
  const result = canonicalTarget(text);
  return result.kind === 'target' ? result.target : `refused: ${result.detail}`;
}

function host(text: string): string {
  const result = canonicalHost(text);
  if (result.kind === 'malformed') return `refused: ${result.detail}`;
  return result.port === undefined ? result.host : `${result.host} port ${result.port}`;
}

function assertTargets(cases: Readonly<Record<string, string>>): void {
  for (const [given, expected] of Object.entries(cases)) assert.equal(target(given), expected, given);
}

test('a plain path stays as it is', () => {
  assertTargets({ '/': '/', '/a/b.css': '/a/b.css', "/a-b_c~d!$&'()*+,=:@/e": "/a-b_c~d!$&'()*+,=:@/e" });
});

test('the path is told apart from the query, and both are kept', () => {
  assert.deepEqual(canonicalTarget('/a?b=1&c=/d?e'), { kind: 'target', target: '/a?b=1&c=/d?e', path: '/a' });
  assert.deepEqual(canonicalTarget('/?'), { kind: 'target', target: '/?', path: '/' });
});

test('an escape of an unreserved character is that character; the others have capital digits', () => {
  assertTargets({
    '/%61%2D%7e%5F%30': '/a-~_0',
    '/%c3%a9%3f': '/%C3%A9%3F',
    '/?q=%61%2fb%26': '/?q=a%2Fb%26',
    // An escaped percent sign stays, whatever follows it: decoding twice would be another URL.
    '/%2561': '/%2561',
    '/%25%36%31': '/%2561',
  });
});

test('dot segments are removed, escaped or not, and never lead above the root', () => {
  assertTargets({
    '/.': '/',
    '/..': '/',
    '/a/./b/../c': '/a/c',
    '/a/b/..': '/a/',
    '/a/b/.': '/a/b/',
    '/../../etc/passwd': '/etc/passwd',
    '/a/%2e%2E/b': '/b',
    '/a/.%2e/b': '/b',
    '//../a': '/a',
    '/...': '/...',
    '/.well-known/x': '/.well-known/x',
    '/a?b=/../c': '/a?b=/../c',
  });
});

test('repeated slashes and parameters are part of the path', () => {
  assertTargets({ '//a///b/': '//a///b/', '/a;v=1/b': '/a;v=1/b', '/a/;/b': '/a/;/b' });
});

test('characters that no URL may hold, but that clients send, are escaped', () => {
  assertTargets({
    '/a"b<c>d': '/a%22b%3Cc%3Ed',
    '/?q={"a":[1|2]}^`': '/?q=%7B%22a%22:[1%7C2]%7D%5E%60',
    '/%22%7b': '/%22%7B',
  });
});

test('what is not a path is refused', () => {
  for (const given of ['', '*', 'a', '?a', 'http://demo.example/']) assert.match(target(given), /start with/, given);
});

test('controls, spaces, letters beyond ASCII, backslashes and fragments are refused', () => {
  for (const given of ['/a b', '/a\tb', '/a\0b', '/a\x7fb', '/a\r\nb', '/é', '/a\\b', '/a#b', '/?q=a b', '/?\\']) {
    assert.match(target(given), /must be percent-encoded/, JSON.stringify(given));
  }
});

test('broken escapes are refused, in the path and in the query', () => {
  for (const given of ['/%', '/%a', '/%zz', '/a%2', '/?a=%', '/?a=%g0']) {
    assert.match(target(given), /broken percent-escape/, given);
  }
});

test('what servers read in different ways is refused', () => {
  for (const given of ['/a%2fb', '/a%2Fb', '/a%5cb', '/a%00', '/%00.css'])
    assert.match(target(given), /escaped/, given);
  assert.match(target('/?a=%00'), /escaped NUL/);
  assert.equal(target('/?a=%2f%5c'), '/?a=%2F%5C');
  for (const given of ['/a/..;/b', '/.;x', '/a/%2e%2e;v=1/b', '/a/..%3b/b', '/a/..;']) {
    assert.match(target(given), /dot segment with parameters/, given);
  }
});

test('a hostname is lower-cased, its final dot dropped, its port told apart', () => {
  const cases = {
    'Demo.Example': 'demo.example',
    'demo.example.': 'demo.example',
    'demo.example:8080': 'demo.example port 8080',
    'demo.example.:80': 'demo.example port 80',
    'demo.example:': 'demo.example',
    localhost: 'localhost',
    '127.0.0.1:1': '127.0.0.1 port 1',
    '[::1]': '[::1]',
    '[2001:DB8::1]:65535': '[2001:db8::1] port 65535',
    'xn--bcher-kva.example': 'xn--bcher-kva.example',
    a_b: 'a_b',
  };
  for (const [given, expected] of Object.entries(cases)) assert.equal(host(given), expected, given);
});

test('what is not a hostname is refused', () => {
  const label = 'a'.repeat(64);
  const long = `${'a.'.repeat(127)}a`;
  const broken = [
    '',
    '.',
    '..',
    'a..b',
    'demo..',
    '-a',
    'a-',
    'a.-b',
    'a b',
    'a/b',
    'user@a',
    'a,b',
    'é',
    'a%41',
    '*.a',
  ];
  for (const given of [...broken, label, long, '[::1', '::1', '[g::1]', '[]', 'a\0']) {
    assert.match(host(given), /is not a hostname or an address/, JSON.stringify(given));
  }
  assert.equal(host('a'.repeat(63)), 'a'.repeat(63));
});

test('a port is a number from 1 to 65535', () => {
  for (const given of ['a:0', 'a:65536', 'a:99999']) assert.match(host(given), /not within 1\.\.65535/, given);
  for (const given of ['a:123456', 'a:x', 'a:-1', 'a:+80', 'a: 80', 'a:8o', '[::1]x'])
    assert.match(host(given), /not a port/, given);
});

test('a URL as people type it: scheme, host, port, path and query; a fragment is dropped', () => {
  const url = { kind: 'url', host: 'demo.example', port: undefined };
  assert.deepEqual(canonicalUrl('https://Demo.example'), { ...url, target: '/' });
  assert.deepEqual(canonicalUrl('HTTP://demo.example?a'), { ...url, target: '/?a' });
  assert.deepEqual(canonicalUrl('http://demo.example:81/a/../%62#top?x'), { ...url, port: 81, target: '/b' });
});

test('what is not an absolute http URL is refused with a word on what was expected', () => {
  const refusals: readonly (readonly [string, RegExp])[] = [
    ['', /expected http:/],
    ['demo.example/a', /expected http:/],
    ['ftp://demo.example/', /expected http:/],
    ['http:/demo.example/', /expected http:/],
    ['http:///a', /is not a hostname/],
    ['http://user:secret@demo.example/', /user name/],
    ['http://demo.example:0/', /port 0/],
    ['http://demo.example/a%2fb', /escaped "\/"/],
    ['http://demo.example/a b', /percent-encoded/],
  ];
  for (const [given, expected] of refusals) {
    const result = canonicalUrl(given);
    assert.ok(result.kind === 'malformed', given);
    assert.match(result.detail, expected, given);
    assert.doesNotMatch(result.detail, /secret/);
  }
});

/** The same, as plainly as it can be said: one character after another, and RFC 3986 section 5.2.4 to the letter. */
function reference(text: string): string | undefined {
  const mark = text.indexOf('?');
  const path = mark === -1 ? text : text.slice(0, mark);
  const cleanPath = referenceEscapes(path, ['/', '\\', '\0']);
  const cleanQuery = mark === -1 ? '' : referenceEscapes(text.slice(mark), ['\0']);
  if (!path.startsWith('/') || cleanPath === undefined || cleanQuery === undefined) return undefined;
  const dots = (segment: string) => ['.', '..'].includes(segment.replaceAll('%3B', ';').split(';')[0] ?? '');
  if (cleanPath.split('/').some((segment) => dots(segment) && !['.', '..'].includes(segment))) return undefined;
  let input = cleanPath;
  let output = '';
  while (input !== '') {
    if (input.startsWith('/./')) input = input.slice(2);
    else if (input === '/.') input = '/';
    else if (input.startsWith('/../') || input === '/..') {
      input = input === '/..' ? '/' : input.slice(3);
      output = output.slice(0, Math.max(0, output.lastIndexOf('/')));
    } else {
      const next = input.indexOf('/', 1);
      output += next === -1 ? input : input.slice(0, next);
      input = next === -1 ? '' : input.slice(next);
    }
  }
  return output + cleanQuery;
}

function referenceEscapes(text: string, forbidden: readonly string[]): string | undefined {
  let out = '';
  for (let i = 0; i < text.length; i += 1) {
    const character = text[i] ?? '';
    if (character !== '%') {
      if (character <= ' ' || character > '~' || character === '#' || character === '\\') return undefined;
      out += '"<>^`{|}'.includes(character) ? `%${character.charCodeAt(0).toString(16).toUpperCase()}` : character;
      continue;
    }
    const digits = text.slice(i + 1, i + 3);
    if (digits.length < 2 || [...digits].some((digit) => !'0123456789abcdefABCDEF'.includes(digit))) return undefined;
    const meant = String.fromCharCode(Number.parseInt(digits, 16));
    if (forbidden.includes(meant)) return undefined;
    out += meant <= '~' && (/[a-z0-9]/i.test(meant) || '-._~'.includes(meant)) ? meant : `%${digits.toUpperCase()}`;
    i += 2;
  }
  return out;
}

const PIECES = ['/', '/', '.', '..', 'a', 'B', '0', '%2e', '%2E', '%61', '%25', '%2f', '%5c', '%00', '%c3', '%', '%4'];
const MORE = ['?', ';', '%3b', '"', '|', '{', '[', '~', '-', ' ', '#', '\\', '\0', 'é', '=', '&', '+', '*', "'", '@'];

function randomTarget(random: Random): string {
  const pieces = random.next() < 0.5 ? PIECES.slice(0, 9) : [...PIECES, ...MORE];
  let text = random.next() < 0.95 ? '/' : '';
  for (let left = Math.floor(random.next() * 12); left > 0; left -= 1) {
    text += pieces[Math.floor(random.next() * pieces.length)] ?? '';
  }
  return text;
}

test('any text has the form that the plain reference gives it, and a canonical form is its own', () => {
  const random = seededRandom(3986);
  let accepted = 0;
  for (let round = 0; round < 10_000; round += 1) {
    const text = randomTarget(random);
    const result = canonicalTarget(text);
    assert.equal(result.kind === 'target' ? result.target : undefined, reference(text), JSON.stringify(text));
    if (result.kind !== 'target') continue;
    accepted += 1;
    assert.deepEqual(canonicalTarget(result.target), result, JSON.stringify(text));
    assert.equal(result.path, result.target.split('?')[0]);
  }
  assert.ok(accepted > 2_500, `only ${accepted} of the texts were accepted`);
});

test('no host makes it throw, and a canonical one is its own', () => {
  const random = seededRandom(1123);
  const pieces = ['a', 'B', '.', '-', '_', ':', '[', ']', '1', '80', '::', ' ', '@', '%', 'é', '\0'];
  for (let round = 0; round < 10_000; round += 1) {
    let text = '';
    for (let left = Math.floor(random.next() * 8); left > 0; left -= 1) {
      text += pieces[Math.floor(random.next() * pieces.length)] ?? '';
    }
    const result = canonicalHost(text);
    if (result.kind === 'malformed') continue;
    assert.deepEqual(canonicalHost(result.host), { ...result, port: undefined }, JSON.stringify(text));
    assert.match(result.host, /^[a-z0-9._-]+$|^\[[0-9a-f:.]+\]$/);
  }
});

test('a long target is judged in time that grows with its length, not faster', () => {
  const long = `/${'a/'.repeat(4_000)}`;
  const started = performance.now();
  for (const given of [long, `${long}%2e%2e`, `${long}"`, `/${'%41'.repeat(2_600)}`, `/${'../'.repeat(2_600)}`]) {
    for (let round = 0; round < 10; round += 1) canonicalTarget(given);
  }
  assert.ok(performance.now() - started < 1_000);
});
