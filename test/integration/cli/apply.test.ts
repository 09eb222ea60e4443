// `meridian apply`: files become a request, and the answer becomes lines; with any problem nothing is sent or changed.

import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { Metadata, status } from '@grpc/grpc-js';
import {
  type ApplyRequest,
  type ApplyResponse,
  ChangeAction,
  OutcomeKind,
} from '../../../proto/gen/meridian/v1/admin.ts';
import { PROBLEMS_METADATA, type Problem } from '../../../proto/problems.ts';
import { failure, fakeAdmin, meridian } from './harness.ts';

const folder = await mkdtemp(path.join(tmpdir(), 'meridian-apply-'));
after(() => rm(folder, { recursive: true }));

const EDGES = 'edges:\n  lon: { location: { latitude: 51.5, longitude: 0 } }\n';
const SITE = 'sites:\n  demo:\n    hostnames: [a.example]\n    routes: [{ path: /, pool: citys }]\n';
const edges = path.join(folder, 'edges.yaml');
const site = path.join(folder, 'site.yaml');
await writeFile(edges, EDGES);
await writeFile(site, SITE);

const committed: ApplyResponse = {
  event: {
    $case: 'committed',
    value: {
      version: { epoch: 10, revision: 4 },
      changes: [
        { kind: 'edge', name: 'lon', action: ChangeAction.CREATED },
        { kind: 'site', name: 'demo', action: ChangeAction.UPDATED },
        { kind: 'pool', name: 'old', action: ChangeAction.DELETED },
      ],
    },
  },
};
const edge = (name: string, outcome: OutcomeKind, detail = ''): ApplyResponse => ({
  event: { $case: 'edge', value: { edge: name, outcome, elapsedMs: 4, detail } },
});

test('what changed is printed, and the new version', async (t) => {
  const requests: ApplyRequest[] = [];
  const apply = (request: ApplyRequest) => {
    requests.push(request);
    return [committed];
  };
  const env = { MERIDIAN_ADMIN: await fakeAdmin(t, { apply }) };
  const ended = await meridian(['apply', '-f', edges, site, '--prune'], { env });
  assert.deepEqual(ended, {
    code: 0,
    stdout: 'created edge lon\nupdated site demo\ndeleted pool old\n3 changes; the version is 10.4\n',
    stderr: '',
  });
  await meridian(['apply', '-f', '-'], { env, stdin: EDGES });
  const lon = { name: 'lon', location: { latitude: 51.5, longitude: 0 }, trustedProxies: [] };
  const demo = {
    name: 'demo',
    hostnames: ['a.example'],
    routes: [{ pathPrefix: '/', pool: 'citys', cache: { enabled: true, defaultTtlMs: 0 } }],
  };
  const rest = { pools: [], dryRun: false, waitMs: 0, expected: undefined, canary: undefined };
  const expected = [
    { ...rest, sites: [demo], edges: [lon], prune: true },
    { ...rest, sites: [], edges: [lon], prune: false },
  ];
  // In JSON a field that is not set is the same as one that is undefined.
  assert.deepEqual(JSON.parse(JSON.stringify(requests)), JSON.parse(JSON.stringify(expected)));
});

test('a dry run says what would change, and waits for nobody', async (t) => {
  let request: ApplyRequest | undefined;
  const address = await fakeAdmin(t, {
    apply(sent) {
      request = sent;
      return [committed];
    },
  });
  const ended = await meridian(['apply', '-f', edges, '--dry-run', '--control-plane', address]);
  assert.equal(ended.code, 0);
  assert.match(
    ended.stdout,
    /^would create edge lon\nwould update site demo\nwould delete pool old\n3 changes; this was a dry run; the version stays 10\.4\n$/,
  );
  assert.equal(request?.dryRun, true);
});

test('with --wait each edge has a line; one that refused makes it done in part', async (t) => {
  const address = await fakeAdmin(t, {
    apply: (request) => {
      const detail = `waited ${request.waitMs}`;
      const par = { edge: 'par', outcome: OutcomeKind.REFUSED, elapsedMs: 4, detail };
      const together: ApplyResponse = { event: { $case: 'edges', value: { outcomes: [par] } } };
      return [committed, edge('lon', OutcomeKind.ACKED), together];
    },
  });
  const argv = ['apply', '-f', edges, '--wait', '--timeout', '2s', '--control-plane', address];
  const ended = await meridian(argv);
  assert.equal(ended.code, 3);
  assert.match(ended.stdout, / {2}par +REFUSED +4\.0 ms {2}waited 2000\nserved by 1 of 2 edges\n$/);
  assert.equal(ended.stderr, 'par: refused; goes on serving the former configuration until a newer one is applied\n');
  const json = await meridian([...argv, '--json']);
  const [first, ...others] = json.stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
  assert.deepEqual(first, {
    event: 'committed',
    dryRun: false,
    version: '10.4',
    changes: [
      { kind: 'edge', name: 'lon', action: 'created' },
      { kind: 'site', name: 'demo', action: 'updated' },
      { kind: 'pool', name: 'old', action: 'deleted' },
    ],
  });
  assert.deepEqual(
    others.map(({ event }) => event),
    ['edge', 'edge', 'summary'],
  );
});

test('a file with problems is not sent; each is named by line and column', async (t) => {
  let calls = 0;
  const apply = () => {
    calls += 1;
    return [];
  };
  const env = { MERIDIAN_ADMIN: await fakeAdmin(t, { apply }) };
  const bad = path.join(folder, 'bad.yaml');
  await writeFile(bad, 'edges:\n  lon: { location: 3 }\npool: {}\n');
  assert.deepEqual(await meridian(['apply', '-f', bad, edges], { env }), {
    code: 1,
    stdout: '',
    stderr:
      `${bad}:2:20: edges.lon.location: expected a mapping, found 3\n` +
      `${bad}:3:1: pool: unknown field (did you mean "pools"?)\n` +
      'nothing was changed\n',
  });
  assert.equal(calls, 0);
});

test('what the control plane finds is shown at its line, and what lies elsewhere by name', async (t) => {
  const problems: Problem[] = [
    { kind: 'site', name: 'demo', path: ['routes', 0, 'pool'], message: 'there is no pool "citys"' },
    { kind: 'site', name: 'other', path: ['routes', 1, 'pool'], message: 'there is no pool "old"' },
  ];
  const metadata = new Metadata();
  metadata.set(PROBLEMS_METADATA, Buffer.from(JSON.stringify(problems)));
  const apply = () => [failure(status.INVALID_ARGUMENT, 'two problems', metadata)];
  const address = await fakeAdmin(t, { apply });
  assert.deepEqual(await meridian(['apply', '-f', edges, '-f', site, '--control-plane', address]), {
    code: 1,
    stdout: '',
    stderr:
      `${site}:4:31: sites.demo.routes[0].pool: there is no pool "citys"\n` +
      'site "other", routes[1].pool: there is no pool "old"\n' +
      'nothing was changed\n',
  });
});

test('a change of someone else at the same moment is told as that', async (t) => {
  const address = await fakeAdmin(t, { apply: () => [failure(status.ABORTED, 'now at 10.5')] });
  const ended = await meridian(['apply', '-f', edges, '--control-plane', address]);
  assert.equal(ended.code, 1);
  assert.match(
    ended.stderr,
    /^meridian: the configuration was changed by someone else .*\(now at 10\.5\)\. Nothing was changed/,
  );
});

test('a control plane that goes away after the commit leaves it committed: exit code 3', async (t) => {
  const address = await fakeAdmin(t, { apply: () => [committed, failure(status.UNAVAILABLE, 'stopping')] });
  const ended = await meridian(['apply', '-f', edges, '--wait', '--control-plane', address]);
  assert.equal(ended.code, 3);
  assert.match(ended.stderr, /^the configuration is committed, but not every edge could be heard: .*stopping/);
});

test('without a file, or with an option that cannot be meant, it is a matter of usage', async () => {
  const none = await meridian(['apply', '--dry-run']);
  assert.deepEqual(
    [none.code, none.stderr.split('\n')[0]],
    [2, 'meridian: expected a file: -f FILE, or -f - for standard input'],
  );
  const typo = await meridian(['apply', '-f', edges, '--dryrun']);
  assert.deepEqual(
    [typo.code, typo.stderr.split('\n')[0]],
    [2, 'meridian: unknown option --dryrun (did you mean "--dry-run"?)'],
  );
  const bare = await meridian(['apply', '-f']);
  assert.deepEqual(
    [bare.code, bare.stderr.split('\n')[0]],
    [2, 'meridian: --file has no value; one that begins with "-" is written --file=VALUE'],
  );
});
