// Which fields are stored (RFC 9111 section 3.1), and the names under which (section 2).
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { cacheKey, purgeName } from '../../../../edge-node/decide/cache/key.ts';
import { storedFields } from '../../../../edge-node/decide/cache/stored-fields.ts';

describe('3.1: fields', () => {
  test('are kept in their order, repeated ones too', () => {
    const fields = ['x', '1', 'link', '</a>', 'link', '</b>', 'content-length', '3', 'unknown', ''];
    assert.deepEqual(storedFields(fields), fields);
  });
  test('of the connection or a proxy are not kept', () => {
    const gone = ['keep-alive', 'proxy-connection', 'te', 'transfer-encoding', 'upgrade', 'trailer', 'connection'];
    gone.push('proxy-authenticate', 'proxy-authentication-info', 'proxy-authorization', 'age');
    for (const name of gone)
      assert.deepEqual(storedFields(['a', '1', name, 'x', 'b', '2']), ['a', '1', 'b', '2'], name);
  });
  test('that Connection names are not kept, from every line of it and in any case', () => {
    const fields = ['connection', 'close, X-One', 'x-one', '1', 'x-two', '2', 'connection', 'x-two', 'x-three', '3'];
    assert.deepEqual(storedFields(fields), ['x-three', '3']);
  });
});

describe('2: the key', () => {
  test('holds scheme, host, port, path and query', () => {
    assert.equal(cacheKey('http', 'example.com:8080', '/a?b=1'), 'http://example.com:8080/a?b=1');
    const keys = [
      cacheKey('http', 'example.com', '/a'),
      cacheKey('https', 'example.com', '/a'),
      cacheKey('http', 'example.org', '/a'),
      cacheKey('http', 'example.com:81', '/a'),
      cacheKey('http', 'example.com', '/A'),
      cacheKey('http', 'example.com', '/a?'),
      cacheKey('http', 'example.com', '/a?x'),
    ];
    assert.equal(new Set(keys).size, keys.length);
  });
  test('a purge names host, path and query alone', () =>
    assert.equal(purgeName('example.com', '/a?b'), 'example.com/a?b'));
});
