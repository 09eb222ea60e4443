// RFC 9111 sections 3.2, 4.3 and 4.4, rule by rule: asking whether what is stored is current, what an answer changes, and what
// an unsafe request makes invalid.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { StoredHead } from '../../../../edge-node/decide/cache/entry.ts';
import { formatHttpDate } from '../../../../edge-node/decide/cache/http-date.ts';
import {
  InvalidationLog,
  type InvalidationQuestion,
  invalidatedKeys,
} from '../../../../edge-node/decide/cache/invalidation.ts';
import { type HeadQuestion, merge304, refreshHead, updateByHead } from '../../../../edge-node/decide/cache/refresh.ts';
import {
  askedAbout,
  conditionalFields,
  notModified,
  selectFor304,
  tagsField,
} from '../../../../edge-node/decide/cache/validation.ts';
import { varyValues } from '../../../../edge-node/decide/cache/vary.ts';
import type { FieldList } from '../../../../edge-node/decide/fields.ts';
import { DATE, ENABLED, entryOf, HOUR, headOf, NOW, SECOND } from './support.ts';

const MODIFIED = formatHttpDate(NOW - HOUR);
const FRESH = ['date', DATE, 'cache-control', 'max-age=60'];
const withTag = (etag: string, seconds = 0): StoredHead =>
  headOf(['date', formatHttpDate(NOW + seconds * SECOND), 'cache-control', 'max-age=60', 'etag', etag], {
    receivedAt: NOW + seconds * SECOND,
  });

describe('4.3.1: asking', () => {
  test('4.3.1: the entity tag is sent, and Last-Modified beside it', () => {
    const head = headOf([...FRESH, 'etag', 'W/"a"', 'last-modified', MODIFIED]);
    assert.deepEqual(conditionalFields(head), ['if-none-match', 'W/"a"', 'if-modified-since', MODIFIED]);
  });
  const fieldOf = (heads: readonly StoredHead[], requestFields: FieldList = [], ofRoute: readonly string[] = []) => {
    const entries = heads.map((head) => ({ head }));
    return tagsField(askedAbout(entries, requestFields, ofRoute))[1];
  };
  test('4.3.1: of several stored responses the tags are sent, each once, the newest first, and no date', () => {
    const dated = headOf([...FRESH, 'etag', '"d"', 'last-modified', MODIFIED]);
    const heads = [withTag('"a"', 1), withTag('W/"b"', 3), withTag('"a"', 2), dated, headOf(FRESH)];
    assert.equal(fieldOf(heads), 'W/"b", "a", "d"');
    assert.equal(fieldOf([dated]), '"d"');
    assert.equal(fieldOf([headOf([...FRESH, 'last-modified', MODIFIED])]), undefined);
    assert.equal(fieldOf([]), undefined);
  });
  test('4.3.1: no more tags are named than fit a reasonable field', () => {
    const many = Array.from({ length: 30 }, (_, i) => withTag(`"${i}"`, i));
    assert.equal(fieldOf(many), '"29", "28", "27", "26", "25", "24", "23", "22"');
    const long = Array.from({ length: 10 }, (_, i) => withTag(`"${String(i).repeat(300)}"`, i));
    assert.equal(fieldOf(long)?.length, 3 * 302 + 4);
  });
  test('4.3.1: not the tag of what is kept in parts, of what is no 200, or one that is none', () => {
    const whole = withTag('"a"');
    const slices = { bytes: 10, length: 100, generation: '' };
    const heads = [
      whole,
      { ...withTag('"b"'), slices },
      { ...withTag('"c"'), status: 404 },
      withTag('d'),
      withTag('"e'),
    ];
    assert.equal(fieldOf(heads), '"a"');
  });
  test('4.3.1: not of what was chosen by another coding, for another user or by what the route adds, whose tag may be the same', () => {
    for (const name of ['accept-encoding', 'cookie', 'authorization', 'cookie;theme', 'x-tenant']) {
      const sent = name === 'cookie;theme' ? 'cookie' : name;
      const vary = [name, 'x'];
      const heads = ['theme=gzip', 'theme=br'].map((value, i) => {
        return { ...withTag(`"${i}"`), vary, variant: varyValues(vary, [sent, value, 'x', '1']) };
      });
      const ofRoute = ['x-tenant'];
      assert.equal(fieldOf(heads, [sent, 'theme=br', 'x', '2'], ofRoute), '"1"', name);
      assert.equal(fieldOf(heads, ['x', '2'], ofRoute), undefined, name);
    }
  });
});

describe('4.3.2: being asked', () => {
  const head = headOf([...FRESH, 'etag', '"a"', 'last-modified', MODIFIED]);
  test('4.3.2: If-None-Match decides, and If-Modified-Since only where it is absent', () => {
    assert.ok(notModified('GET', ['if-none-match', '"x", W/"a"', 'if-modified-since', formatHttpDate(0)], head));
    assert.ok(!notModified('GET', ['if-none-match', '"x"', 'if-modified-since', DATE], head));
    assert.ok(notModified('GET', ['if-modified-since', MODIFIED], head));
  });
  test('4.3.2: Date stands in for a Last-Modified that is absent', () => {
    assert.ok(notModified('GET', ['if-modified-since', DATE], headOf(FRESH)));
  });
});

describe('4.3.4: which stored response a 304 speaks of', () => {
  const [one, two, weak] = [withTag('"a"', 1), withTag('"b"', 2), withTag('W/"a"', 3)].map((head) => ({ head }));
  assert.ok(one && two && weak);
  const all = [weak, two, one];
  test('4.3.4: a strong tag, of the one that has it, and else of none', () => {
    assert.equal(selectFor304(all, ['etag', '"b"']), two);
    assert.equal(selectFor304(all, ['etag', '"c"']), undefined);
    assert.equal(selectFor304([weak], ['etag', '"a"']), undefined);
  });
  test('4.3.4: a weak tag, of the most recent that it matches', () => {
    assert.equal(selectFor304(all, ['etag', 'W/"a"']), weak);
    assert.equal(selectFor304(all, ['etag', 'W/"c"']), undefined);
  });
  test('4.3.4: no tag, of the only one that was asked about', () => {
    assert.equal(selectFor304(all, ['x', '1']), undefined);
    assert.equal(selectFor304(all, ['last-modified', MODIFIED]), undefined);
    assert.equal(selectFor304([one], ['x', '1']), one);
    assert.equal(selectFor304([], []), undefined);
  });
});

describe('3.2: updating', () => {
  test('3.2: each field of the new response replaces all lines of that name, others stay', () => {
    const head = headOf([...FRESH, 'a', '1', 'a', '2', 'b', '3', 'content-type', 'text/plain']);
    const merged = merge304(head, ['date', DATE, 'a', '4', 'content-type', 'text/html', 'c', '5']);
    assert.deepEqual(merged, [
      ...['cache-control', 'max-age=60', 'b', '3'],
      ...['date', DATE, 'a', '4', 'content-type', 'text/html', 'c', '5'],
    ]);
  });
  test('3.2: Content-Length stays, and with it what else the stored body depends upon', () => {
    const body = ['content-length', '3', 'content-encoding', 'gzip', 'content-range', 'bytes 0-2/3'];
    const merged = merge304(headOf([...FRESH, ...body]), [
      ...['content-length', '0', 'content-encoding', 'br', 'content-range', 'bytes 0-0/1'],
    ]);
    assert.deepEqual(merged, ['cache-control', 'max-age=60', ...body]);
  });
  test('3.2: nor is anything taken over that is not stored at all', () => {
    const update = ['connection', 'x', 'x', '1', 'proxy-authenticate', 'y', 'cache-control', 'private="z"', 'z', '1'];
    assert.deepEqual(merge304(headOf(FRESH), update), ['cache-control', 'private="z"']);
  });
  test('3.2: what an origin said to this cache alone stays known from one validation to the next', () => {
    const head = headOf([...FRESH, 'surrogate-key', 'a b', 'meridian-cdn-cache-control', 'max-age=5', 'etag', '"a"']);
    const question = { entry: head, fields304: ['date', DATE], requestFields: [], policy: ENABLED, barrier: 0 };
    const decision = refreshHead({ ...question, requestedAt: NOW, receivedAt: NOW });
    assert.equal(decision.kind, 'refresh');
    if (decision.kind !== 'refresh') return;
    assert.deepEqual([decision.head.tags, decision.head.lifetimeMs], [['a', 'b'], 5 * SECOND]);
    assert.ok(!decision.head.fields.includes('surrogate-key'));
  });
});

describe('4.3.5: HEAD', () => {
  const stored = headOf([...FRESH, 'etag', '"a"', 'last-modified', MODIFIED, 'x', '1', 'content-length', '5']);
  const LATER = NOW + HOUR;
  const answered = (fields: FieldList, over: Partial<HeadQuestion> = {}) =>
    updateByHead({
      ...{ entry: stored, status: 200, fields, bodyLength: 5, requestFields: [], policy: ENABLED },
      ...{ requestedAt: LATER, receivedAt: LATER, barrier: 7 },
      ...over,
    });

  test('4.3.5: the same validators and length: its fields update what is stored, and it is fresh again', () => {
    const fields = [
      'etag',
      '"a"',
      'last-modified',
      MODIFIED,
      'content-length',
      '5',
      'x',
      '2',
      'cache-control',
      'max-age=9',
    ];
    const decision = answered(fields);
    assert.equal(decision.kind, 'update');
    if (decision.kind !== 'update') return;
    const { head } = decision;
    assert.deepEqual([head.lifetimeMs, head.receivedAt, head.barrier, head.etag], [9 * SECOND, LATER, 7, '"a"']);
    assert.equal(head.fields[head.fields.indexOf('x') + 1], '2');
  });
  test('4.3.5: no validator says nothing against it', () => assert.equal(answered([]).kind, 'update'));
  test('4.3.5: another validator or another length: what is stored is not current', () => {
    for (const [reason, fields] of [
      ['validator', ['etag', '"b"']],
      ['validator', ['etag', 'W/"a"']],
      ['validator', ['last-modified', DATE]],
      ['length', ['content-length', '6']],
      ['length', ['content-length', 'x']],
    ] as const) {
      assert.deepEqual(answered(fields), { kind: 'invalidate', reason }, fields.join());
    }
  });
  test('4.3.5: only a 200 says anything, and only of a stored 200', () => {
    for (const status of [204, 206, 304, 404, 410, 500]) {
      assert.deepEqual(answered([], { status }), { kind: 'keep', reason: 'status' });
    }
    const gone = headOf([...FRESH], { status: 404 });
    assert.deepEqual(answered([], { entry: gone }), { kind: 'invalidate', reason: 'status' });
  });
  test('4.3.5: what may not be stored any more goes, unless only this request says so', () => {
    assert.deepEqual(answered(['cache-control', 'no-store']), { kind: 'invalidate', reason: 'no-store' });
    const requestFields = ['authorization', 'x'];
    assert.deepEqual(answered([], { requestFields }), { kind: 'keep', reason: 'authorization' });
  });
});

describe('4.4: invalidation', () => {
  const keys = (over: Partial<InvalidationQuestion> = {}) =>
    invalidatedKeys({
      ...{ method: 'POST', status: 200, responseFields: [], scheme: 'https', authority: 'a.example', target: '/x?y' },
      ...over,
    });
  const OWN = 'https://a.example/x?y';

  test('4.4: a non-error answer to an unsafe or unknown method invalidates the target', () => {
    for (const method of ['POST', 'PUT', 'DELETE', 'PATCH', 'M-SEARCH', 'FROB']) {
      for (const status of [200, 201, 204, 301, 303, 399]) assert.deepEqual(keys({ method, status }), [OWN]);
    }
  });
  test('4.4: an error does not, nor does a safe method', () => {
    for (const status of [100, 400, 404, 500]) assert.deepEqual(keys({ status }), []);
    for (const method of ['GET', 'HEAD', 'OPTIONS', 'TRACE']) assert.deepEqual(keys({ method }), [], method);
  });
  test('4.4: Location and Content-Location are invalidated too, relative or not, in canonical form', () => {
    for (const name of ['location', 'content-location']) {
      for (const value of [
        '/new',
        'new',
        './a/../new',
        'https://a.example/new',
        'https://A.EXAMPLE:443/%6eew#f',
        '//a.example/new',
      ]) {
        assert.deepEqual(keys({ responseFields: [name, value] }), [OWN, 'https://a.example/new'], value);
      }
    }
    const both = ['location', '/1', 'content-location', '/2'];
    assert.deepEqual(keys({ responseFields: both }), [OWN, 'https://a.example/1', 'https://a.example/2']);
    assert.deepEqual(keys({ responseFields: ['location', '?y'] }), [OWN]);
  });
  test('4.4: but never on another origin: scheme, host and port are the same', () => {
    for (const value of [
      ...['http://a.example/new', 'https://b.example/new', 'https://a.example:8443/new', '//b.example/new'],
      ...[
        'https://a.example.b.example/',
        'data:,x',
        'https://',
        'http://[',
        '\\\\b.example/x',
        '/%2f',
        'https://u@b.example/',
      ],
    ]) {
      assert.deepEqual(keys({ responseFields: ['location', value] }), [OWN], value);
    }
    const port = { authority: 'a.example:8443', responseFields: ['location', 'https://a.example:8443/new'] };
    assert.deepEqual(keys(port), ['https://a.example:8443/x?y', 'https://a.example:8443/new']);
  });
  test('4.4: by the key of the route of each', () => {
    const key = { query: 'none', sortQuery: false, vary: [] } as const;
    const keyOf = (target: string) => (target.startsWith('/new') ? key : undefined);
    assert.deepEqual(keys({ keyOf, responseFields: ['location', '/new?z'] }), [OWN, 'https://a.example/new']);
    assert.deepEqual(keys({ keyOf: () => key }), ['https://a.example/x']);
  });
  test('4.4: what was requested before is not stored after, what was requested later is', () => {
    const log = new InvalidationLog();
    log.note('k', 100);
    assert.deepEqual(
      [log.bars('k', 99), log.bars('k', 100), log.bars('k', 101), log.bars('other', 99)],
      [true, true, false, false],
    );
    log.note('k', 200);
    assert.ok(log.bars('k', 150));
  });
  test('4.4: where more is noted than is remembered, too much is barred rather than too little', () => {
    const log = new InvalidationLog(2);
    for (const [key, now] of [
      ['a', 1],
      ['b', 2],
      ['c', 3],
    ] as const)
      log.note(key, now);
    assert.ok(log.bars('a', 1) && log.bars('never named', 1) && log.bars('b', 2));
    assert.ok(!log.bars('a', 2));
  });
});

test('4.3.2: what is stored is a 200, so a condition on an error page is not evaluated', () => {
  assert.ok(!notModified('GET', ['if-none-match', '*'], headOf(FRESH, { status: 404 })));
  assert.ok(entryOf(headOf(FRESH)).head.status === 200);
});
