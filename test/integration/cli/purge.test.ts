// `meridian purge`: what is sent, what each edge's answer looks like, and how it ends.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { status } from '@grpc/grpc-js';
import { OutcomeKind, type PurgeRequest, type PurgeResponse } from '../../../proto/gen/meridian/v1/admin.ts';
import { failure, fakeAdmin, meridian } from './harness.ts';

const accepted = (sequence: number, repeatedKey = false): PurgeResponse => ({
  event: { $case: 'accepted', value: { position: { epoch: 9, sequence }, repeatedKey } },
});
const line = (edge: string, outcome: OutcomeKind, elapsedMs = 0, detail = '') => ({ edge, outcome, elapsedMs, detail });
const edge = (...values: Parameters<typeof line>): PurgeResponse => ({
  event: { $case: 'edge', value: line(...values) },
});
const edges = (...outcomes: ReturnType<typeof line>[]): PurgeResponse => ({
  event: { $case: 'edges', value: { outcomes } },
});

test('a purge prints a line for each edge as it answers, alone or at once with others, and a summary', async (t) => {
  const requests: PurgeRequest[] = [];
  const address = await fakeAdmin(t, {
    purge(request) {
      requests.push(request);
      const together = edges(line('par', OutcomeKind.ACKED, 12), line('rio', OutcomeKind.ACKED, 12.5));
      return [accepted(7), edge('lon', OutcomeKind.ACKED, 3.24), together];
    },
  });
  const url = 'HTTPS://Shop.Example.com:8443/a%7Eb/../c?x=%2f#top';
  const ended = await meridian(['purge', 'url', url, 'http://a/', '--control-plane', address]);
  assert.deepEqual(ended, {
    code: 0,
    stdout:
      'accepted as purge 7\n' +
      '  lon                   ACKED        3.2 ms\n' +
      '  par                   ACKED       12.0 ms\n' +
      '  rio                   ACKED       12.5 ms\n' +
      'purged on 3 of 3 edges\n',
    stderr: '',
  });
  assert.deepEqual(requests, [
    {
      targets: [
        { target: { $case: 'url', value: { host: 'shop.example.com', path: '/c?x=%2F' } } },
        { target: { $case: 'url', value: { host: 'a', path: '/' } } },
      ],
      idempotencyKey: '',
      timeoutMs: 5000,
      soft: false,
      dryRun: false,
    },
  ]);
});

test('an edge that did not confirm is named with what happens next, and the exit code is 3', async (t) => {
  const purge = () => [
    accepted(8, true),
    edge('lon', OutcomeKind.ACKED, 1),
    edge('par', OutcomeKind.LATE, 5000, 'connected'),
    edge('ber', OutcomeKind.GONE),
    edge('rom', OutcomeKind.GONE),
  ];
  const address = await fakeAdmin(t, { purge });
  const ended = await meridian(['purge', 'all'], { env: { MERIDIAN_ADMIN: address } });
  assert.equal(ended.code, 3);
  assert.match(ended.stdout, /^accepted as purge 8 \(the purge that was sent with this key before\)$/m);
  assert.match(ended.stdout, /^ {2}ber +GONE$/m);
  assert.match(ended.stdout, /^purged on 1 of 4 edges$/m);
  assert.equal(
    ended.stderr,
    'par: late; did not confirm in time, will apply the purge before anything that comes after it\n' +
      'ber, rom: gone; not connected, will replay the purge before it serves from its cache\n',
  );
});

test('for programs each event is a line of JSON', async (t) => {
  const address = await fakeAdmin(t, {
    purge: () => [accepted(1), edge('lon', OutcomeKind.ACKED, 2), edge('par', OutcomeKind.GONE)],
  });
  const ended = await meridian(['purge', 'host', 'Example.com.', '--json', '--control-plane', address]);
  assert.equal(ended.code, 3);
  assert.deepEqual(
    ended.stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line)),
    [
      { event: 'accepted', position: { epoch: 9, sequence: 1 }, repeatedKey: false },
      { event: 'edge', edge: 'lon', outcome: 'acked', elapsedMs: 2, detail: '' },
      { event: 'edge', edge: 'par', outcome: 'gone', elapsedMs: 0, detail: '' },
      { event: 'summary', acked: 1, late: 0, gone: 1, refused: 0, exitCode: 3 },
    ],
  );
});

test('host, key and timeout are passed on', async (t) => {
  let request: PurgeRequest | undefined;
  const address = await fakeAdmin(t, {
    purge(sent) {
      request = sent;
      return [accepted(1)];
    },
  });
  const argv = [
    'purge',
    'host',
    'Example.com.',
    '--idempotency-key',
    'k1',
    '--timeout',
    '250ms',
    '--control-plane',
    address,
  ];
  const ended = await meridian(argv);
  assert.deepEqual([ended.code, ended.stdout], [0, 'accepted as purge 1\npurged on 0 of 0 edges\n']);
  assert.deepEqual(request, {
    targets: [{ target: { $case: 'host', value: 'example.com' } }],
    idempotencyKey: 'k1',
    timeoutMs: 250,
    soft: false,
    dryRun: false,
  });
});

test('a control plane that goes away after it accepted leaves the purge accepted: exit code 3', async (t) => {
  const address = await fakeAdmin(t, {
    purge: () => [accepted(5), edge('lon', OutcomeKind.ACKED, 2), failure(status.INTERNAL, 'the store went away')],
  });
  const ended = await meridian(['purge', 'all', '--control-plane', address]);
  assert.equal(ended.code, 3);
  assert.match(
    ended.stderr,
    /^purge 5 is accepted and stays so, but not every edge could be heard: .*the store went away/,
  );
});

test('one that fails before it accepted, or ends without a word, has done nothing: exit code 1', async (t) => {
  const refusing = await fakeAdmin(t, { purge: () => [failure(status.UNAVAILABLE, 'etcd does not answer')] });
  const refused = await meridian(['purge', 'all', '--control-plane', refusing]);
  assert.deepEqual(refused, {
    code: 1,
    stdout: '',
    stderr: `meridian: the control plane at ${refusing} cannot do that now: etcd does not answer\n`,
  });
  const silent = await fakeAdmin(t, { purge: () => [] });
  const ended = await meridian(['purge', 'all', '--control-plane', silent]);
  assert.equal(ended.code, 1);
  assert.match(ended.stderr, /did not say that it accepted the purge/);
});

const MALFORMED: readonly (readonly [readonly string[], RegExp])[] = [
  [[], /expected what to purge: url URL\.\., prefix URL\.\., host/],
  [
    ['urls', 'http://a/'],
    /unknown form of purge "urls": expected url, prefix, host, tag or all \(did you mean "url"\?\)/,
  ],
  [['url'], /expected one URL or more after "url"/],
  [['url', 'example.com/a'], /"example\.com\/a" cannot be purged: expected http:\/\/HOST\/PATH/],
  [['url', 'http://a/%zz'], /cannot be purged: the URL has a broken percent-escape/],
  [['url', 'http://a/', 'http://a/%2f'], /"http:\/\/a\/%2f" cannot be purged: the path has an escaped/],
  [['url', 'http://u:p@a/'], /cannot be purged: a URL with a user name is not accepted/],
  [['url', 'http://a:99999/'], /cannot be purged: port 99999/],
  [['url', `http://a/${'x'.repeat(8001)}`], /longer than 8000 characters/],
  [['host'], /expected one host or more/],
  [['host', 'a b'], /"a b" is not a hostname/],
  [['host', 'a:80'], /expected a host without a port, such as a/],
  [['all', 'of', 'it'], /unexpected argument "of"/],
  [['all', '--timeout', '5'], /--timeout: expected a duration such as 5s, found "5"/],
  [['all', '--timeout', '1h'], /--timeout: expected a duration from 10ms to 10m, found "1h"/],
  [['all', '--idempotency-key', 'k'.repeat(129)], /--idempotency-key: expected at most 128 characters/],
  [
    ['all', '--control-plane', 'nowhere'],
    /--control-plane: expected HOST:PORT such as 127\.0\.0\.1:7401, found "nowhere"/,
  ],
];

test('what is malformed is refused before anything is sent: exit code 2', async (t) => {
  let calls = 0;
  const purge = () => {
    calls += 1;
    return [];
  };
  const env = { MERIDIAN_ADMIN: await fakeAdmin(t, { purge }) };
  for (const [argv, message] of MALFORMED) {
    const ended = await meridian(['purge', ...argv], { env });
    assert.equal(ended.code, 2, argv.join(' '));
    assert.equal(ended.stdout, '');
    assert.match(ended.stderr, message);
    assert.match(ended.stderr, /"meridian help purge" says how it is used\.\n$/);
  }
  assert.equal(calls, 0);
});
