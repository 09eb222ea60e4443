// What `meridian watch` tells: the differences between two looks at a control plane, in the order of cause and effect.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { stylesFor } from '../../../cli/output/table.ts';
import { changesBetween, startOf, type WatchEvent, watchLine } from '../../../cli/output/watching.ts';
import type { AuditRecord } from '../../../proto/gen/meridian/v1/access.ts';
import { ChangeAction, EdgeStatus, HistoryEntry, StatusResponse } from '../../../proto/gen/meridian/v1/admin.ts';
import { HealthStatus } from '../../../proto/gen/meridian/v1/health.ts';

const version = (revision: number) => ({ epoch: 7, revision });
const at = (sequence: number) => ({ epoch: 7, sequence });
const edge = (name: string, more: Parameters<typeof EdgeStatus.fromPartial>[0] = {}): EdgeStatus =>
  EdgeStatus.fromPartial({ name, connected: true, applied: version(1), purgePosition: at(0), ...more });
const origin = (status: HealthStatus, edgesUp: number, edgesDown: number) => ({
  origin: { pool: 'cities', origin: 'london' },
  status,
  edgesUp,
  edgesDown,
});
const status = (more: Parameters<typeof StatusResponse.fromPartial>[0] = {}): StatusResponse =>
  StatusResponse.fromPartial({
    version: version(1),
    purgePosition: at(0),
    edges: [edge('fra')],
    origins: [origin(HealthStatus.UP, 1, 0)],
    ...more,
  });
const lines = (events: readonly WatchEvent[]): string[] =>
  events.map((event) => watchLine(event, stylesFor({ colour: false })));
const changes = (
  former: StatusResponse,
  next: StatusResponse,
  history: readonly HistoryEntry[] = [],
  audit: readonly AuditRecord[] = [],
): string[] => lines(changesBetween(former, { status: next, history, audit }));

test('nothing changed: nothing is told', () => {
  assert.deepEqual(changes(status(), status()), []);
  const busy = edge('fra', { lastSeenMsAgo: 3, statistics: { requests: 5, uptimeS: 9 } });
  assert.deepEqual(changes(status(), status({ edges: [busy] })), [], 'counters are no change');
});

test('at first it is said how things are', () => {
  const gone = edge('sin', { connected: false });
  assert.deepEqual(lines([startOf(status({ edges: [edge('fra'), gone] }))]), [
    'version 7.1; 1 of 2 edges connected, 1 of 1 origin up',
  ]);
});

test('each new version has a line, the oldest first, and each edge that serves it', () => {
  const entry = (revision: number, what: string, who = '', names: readonly string[] = ['demo']): HistoryEntry =>
    HistoryEntry.fromPartial({
      version: version(revision),
      what,
      who,
      changes: names.map((name) => ({ kind: 'site', name, action: ChangeAction.UPDATED })),
    });
  const history = [
    entry(3, 'apply', 'ann', ['a', 'b', 'c', 'd', 'e', 'f']),
    entry(2, 'drain cities/london'),
    entry(1, 'old'),
  ];
  const next = status({ version: version(3), edges: [edge('fra', { applied: version(3) })] });
  assert.deepEqual(changes(status(), next, history), [
    'version 7.2 (drain cities/london): updated site demo',
    'version 7.3 (apply by ann): updated site a, updated site b, updated site c, updated site d and 2 more',
    'edge fra serves version 7.3',
  ]);
  assert.deepEqual(changes(status(), status({ version: version(2) })), ['version 7.2'], 'what it changed is not known');
});

test('a purge has a line, and each edge that confirms it', () => {
  const record = { purge: at(1), actor: 'ann', detail: 'everything' };
  const audit = [record as AuditRecord];
  const next = status({ purgePosition: at(2), edges: [edge('fra', { purgePosition: at(1) }), edge('sin')] });
  const former = status({ edges: [edge('fra'), edge('sin')] });
  assert.deepEqual(changes(former, next, [], audit), [
    'purge 1: everything by ann',
    'purge 2',
    'edge fra confirmed purge 1, 1 behind',
  ]);
  assert.deepEqual(
    changes(status(), status({ purgePosition: at(300), edges: [edge('fra', { purgePosition: at(300) })] })),
    ['purges 1 to 300, 300 of them', 'edge fra confirmed purge 300'],
  );
});

test('in a new epoch purges are counted from 1', () => {
  const next = status({ purgePosition: { epoch: 8, sequence: 1 } });
  assert.deepEqual(changes(status({ purgePosition: at(5) }), next), ['purge 1']);
  assert.deepEqual(changes(status({ purgePosition: at(5) }), status({ purgePosition: { epoch: 8, sequence: 0 } })), []);
});

test('edges come, go, restart, refuse, are declared and removed', () => {
  const running = (uptimeS: number) => edge('fra', { statistics: { uptimeS } });
  const gone = edge('fra', { connected: false });
  const cases: readonly (readonly [EdgeStatus[], EdgeStatus[], string[]])[] = [
    [[running(9)], [gone], ['edge fra is gone']],
    [[gone], [running(1)], ['edge fra is connected']],
    [[running(9)], [running(1)], ['edge fra is connected anew, restarted']],
    [[running(9)], [edge('fra')], []],
    [[edge('fra')], [edge('fra', { refusedReason: 'no site' })], ['edge fra refused the version: no site']],
    [[edge('fra', { refusedReason: 'no site' })], [edge('fra', { refusedReason: 'no site' })], []],
    [[], [EdgeStatus.fromPartial({ name: 'sin' })], ['edge sin is declared']],
    [[edge('fra')], [], ['edge fra is declared no more']],
    [
      [EdgeStatus.fromPartial({ name: 'sin' })],
      [edge('sin', { purgePosition: at(4) })],
      ['edge sin is connected', 'edge sin serves version 7.1'],
    ],
  ];
  for (const [before, now, told] of cases) {
    assert.deepEqual(changes(status({ edges: before }), status({ edges: now })), told);
  }
});

test('origins go down, come up, and are drained', () => {
  const went = (former: Parameters<typeof origin>, next: Parameters<typeof origin>): string[] =>
    changes(status({ origins: [origin(...former)] }), status({ origins: [origin(...next)] }));
  const { UP, DOWN, UNSPECIFIED } = HealthStatus;
  assert.deepEqual(went([UP, 3, 0], [DOWN, 0, 3]), ['origin cities/london is down (0 up, 3 down by 3 edges)']);
  assert.deepEqual(went([UNSPECIFIED, 0, 0], [UP, 1, 0]), ['origin cities/london is up (1 up, 0 down by 1 edge)']);
  assert.deepEqual(went([UP, 3, 0], [UP, 2, 1]), ['origin cities/london is still up (2 up, 1 down by 3 edges)']);
  assert.deepEqual(went([UP, 3, 0], [UP, 2, 0]), [], 'an edge that is gone has its own line');
  const drained = status({ drained: [{ pool: 'cities', origin: 'london' }] });
  assert.deepEqual(changes(status(), drained), ['origin cities/london is drained']);
  assert.deepEqual(changes(drained, status()), ['origin cities/london is drained no more']);
});

test('a trial begins and ends', () => {
  const trial = status({ canary: { version: version(2), former: version(1), edges: ['fra'], holdMs: 1000 } });
  assert.deepEqual(changes(status(), trial), ['trial of version 7.2 by fra']);
  assert.deepEqual(changes(trial, trial), []);
  assert.deepEqual(changes(trial, status()), ['the trial of version 7.2 is over']);
});

test('names from elsewhere cannot steer a terminal', () => {
  const [line = ''] = changes(
    status({ edges: [] }),
    status({ edges: [EdgeStatus.fromPartial({ name: '\u001b[2J' })] }),
  );
  assert.equal(line, 'edge \\u001b[2J is declared');
});
