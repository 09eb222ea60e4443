// `meridian watch` against an admin service that changes what it says.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { status as code } from '@grpc/grpc-js';
import type { ProcessPort } from '../../../cli/commands/command.ts';
import { ListAuditResponse } from '../../../proto/gen/meridian/v1/access.ts';
import { HistoryResponse, StatusResponse } from '../../../proto/gen/meridian/v1/admin.ts';
import { type Answer, failure, fakeAdmin, meridian } from './harness.ts';

const edge = { name: 'fra', connected: true };
const at = (revision: number, connected = true): StatusResponse =>
  StatusResponse.fromPartial({
    version: { epoch: 7, revision },
    purgePosition: { epoch: 7, sequence: revision - 1 },
    edges: [{ ...edge, connected }],
  });

const TIME = String.raw`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z {2}`;

/** Answers in turn, then the signal that ends the command, and the last one again until it does. */
function answers(all: readonly Answer<StatusResponse>[]) {
  const end = Promise.withResolvers<void>();
  let asked = 0;
  const process: ProcessPort = {
    on: (event, listener) => event === 'SIGINT' && void end.promise.then(() => listener()),
    removeListener: () => undefined,
    exit: () => undefined,
  };
  const status = (): Answer<StatusResponse> => {
    const answer = all[Math.min(asked, all.length - 1)] ?? at(1);
    asked += 1;
    if (asked > all.length) end.resolve();
    return answer;
  };
  return { status, io: { process } };
}

test('what changes has a line with its time, until Ctrl-C', async (t) => {
  const { status, io } = answers([at(1), at(1), at(2, false)]);
  const env = {
    MERIDIAN_ADMIN: await fakeAdmin(t, {
      status,
      history: () => HistoryResponse.fromPartial({ entries: [{ version: { epoch: 7, revision: 2 }, what: 'apply' }] }),
      listAudit: () =>
        ListAuditResponse.fromPartial({ records: [{ purge: { epoch: 7, sequence: 1 }, detail: 'everything' }] }),
    }),
  };
  const ended = await meridian(['watch', '--interval', '100ms'], { env, io });
  assert.deepEqual([ended.code, ended.stderr], [0, '']);
  const wanted = [
    'version 7\\.1; 1 of 1 edge connected, 0 of 0 origins up',
    'version 7\\.2 \\(apply\\)',
    'purge 1: everything',
    'edge fra is gone',
  ];
  assert.match(ended.stdout, new RegExp(`^${wanted.map((line) => `${TIME}${line}\n`).join('')}$`));
});

test('when the control plane is away that is said once, and when it is back, with what changed meanwhile', async (t) => {
  const away = failure(code.UNAVAILABLE, 'the store cannot be reached');
  const { status, io } = answers([at(1), away, away, at(1, false)]);
  const env = { MERIDIAN_ADMIN: await fakeAdmin(t, { status }) };
  const ended = await meridian(['watch', '--interval', '100ms', '--json'], { env, io });
  const events = ended.stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
  assert.ok(events.every((event) => Number.isFinite(Date.parse(event.at))));
  assert.deepEqual(
    events.map(({ at: _at, ...event }) => event),
    [
      { event: 'start', version: '7.1', edges: 1, connected: 1, origins: 0, up: 0 },
      { event: 'away', reason: 'the store cannot be reached' },
      { event: 'back' },
      { event: 'edge-gone', edge: 'fra' },
    ],
  );
});

test('it ends when --for is over', async (t) => {
  const env = { MERIDIAN_ADMIN: await fakeAdmin(t, { status: () => at(1) }) };
  const ended = await meridian(['watch', '--for', '150ms', '--interval', '1m'], { env });
  assert.equal(ended.code, 0);
  assert.match(ended.stdout, new RegExp(`^${TIME}version 7\\.1; .*\n$`));
});

test('what asking again does not change ends it', async (t) => {
  const { status, io } = answers([at(1), failure(code.PERMISSION_DENIED, 'this token may not')]);
  const env = { MERIDIAN_ADMIN: await fakeAdmin(t, { status }) };
  const denied = await meridian(['watch', '--interval', '100ms'], { env, io });
  assert.equal(denied.code, 1);
  assert.match(denied.stderr, /this token may not/);
  const nobody = await meridian(['watch', '--control-plane', '127.0.0.1:1']);
  assert.deepEqual([nobody.code, nobody.stdout], [1, '']);
  assert.match(nobody.stderr, /^meridian: the control plane at 127\.0\.0\.1:1 cannot be reached/);
});

test('options that cannot be meant are refused', async () => {
  const cases: readonly (readonly [readonly string[], RegExp])[] = [
    [['--interval', '1ms'], /--interval: expected a duration from 100ms to 1m, found "1ms"/],
    [['--for', 'ever'], /--for: expected a duration such as 5s, found "ever"/],
    [['edges'], /unexpected argument "edges"/],
  ];
  for (const [argv, message] of cases) {
    const ended = await meridian(['watch', ...argv]);
    assert.equal(ended.code, 2);
    assert.match(ended.stderr, message);
  }
});
