// What may break, breaks: meanwhile no client of an edge sees a failure and no edge goes back to an older version; afterwards a
// change and a purge reach every edge. One world for all, since what broke once must not matter to the next.
import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { etcdctl, hasProgram } from '../../support/etcd-cluster.ts';
import { edgeOf } from '../../support/plane.ts';
import { tempFolder } from '../../support/temp.ts';
import { until } from '../../support/until.ts';
import { EDGES, EVERYTHING, FaultWorld, type Replica } from './fault-world.ts';

const HOUR_MS = 3_600_000;
/** `OUTAGE_S=60 node bin/node26.js --test test/integration/control-plane/faults.test.ts` keeps etcd away for a minute. */
const OUTAGE_MS = Number(process.env.OUTAGE_S ?? 0) * 1000;

const hangOn = ({ admin }: Replica) =>
  until('all edges to hang on one', async () => {
    const { edges } = await admin.status();
    return edges.every(({ connected, elsewhere }) => connected && !elsewhere);
  });

test('faults', async (t) => {
  if (!hasProgram('etcd')) {
    assert.ok(!process.env.CI, 'CI needs an etcd server');
    t.skip('no etcd binary in PATH');
    return;
  }
  const world = await FaultWorld.start(t);
  const { cluster, a, b, wiresOfA } = world;
  await t.test('nothing is broken yet', () => world.converges(a, b));

  await t.test('the leader of etcd is killed', async () => {
    const leader = await cluster.leader();
    await cluster.kill(leader);
    await world.converges(a, b);
    cluster.start(leader);
  });

  await t.test('the wires between the members of etcd are cut', async () => {
    await cluster.part();
    cluster.join();
    await world.converges(a, b);
  });

  await t.test('a control plane is killed right after it accepted a purge', async () => {
    const answer = a.admin.purge({ targets: [EVERYTHING], timeoutMs: 5000 });
    await answer.count(1);
    await a.kill();
    await world.converges(b);
    await a.start();
    await world.converges(a, b);
  });

  await t.test(
    'a control plane is killed while some edges try what it was told: the other ends the trial',
    async () => {
      const answer = a.admin.apply({ edges: [edgeOf('later')], canary: { edges: ['edge-1'], holdMs: 2000 } });
      await answer.count(1);
      await a.kill();
      await until('the trial to be over', async () => (await b.admin.status()).canary === undefined);
      const { edges } = await b.admin.status();
      assert.deepEqual(
        edges.map(({ name }) => name),
        [...EDGES, 'later'],
      );
      await a.start();
      const version = (await b.admin.history()).entries[0]?.former;
      await b.admin.rollback({ ...(version && { version }) }).all;
      await world.converges(b, a);
    },
  );

  await t.test('the wire between the edges and the control plane that they hang on is cut', async () => {
    const { edges } = await a.admin.status();
    const [theirs, other] = edges.some(({ elsewhere }) => elsewhere) ? [b, a] : [a, b];
    theirs.wire.cut();
    await hangOn(other);
    await world.converges(other, theirs);
    theirs.wire.heal();
    await world.converges(theirs, other);
  });

  await t.test('the wire between one control plane and etcd is cut, and etcd forgets what it missed', async () => {
    // So that the edges are on A.
    await b.kill();
    await hangOn(a);
    await b.start();
    for (const wire of wiresOfA) wire.cut();
    await hangOn(b);
    await world.converges(b);
    await cluster.compact();
    for (const wire of wiresOfA) wire.heal();
    await world.converges(a, b);
  });

  await t.test('clocks jump: of the control planes apart, of the edges forward and back', async () => {
    for (const hours of [1, -2]) {
      a.jump(hours * HOUR_MS);
      b.jump(-hours * HOUR_MS);
      world.jump(hours * 24 * HOUR_MS);
      await world.converges(a, b);
    }
  });

  await t.test('all of etcd is killed for a while', async () => {
    await Promise.all([0, 1, 2].map((member) => cluster.kill(member)));
    await assert.rejects(a.admin.purge({ targets: [EVERYTHING] }).all);
    await pause(OUTAGE_MS);
    for (const member of [0, 1, 2]) cluster.start(member);
    await cluster.healthy();
    await world.converges(a, b);
  });

  await t.test('etcd is restored from a backup: the edges follow, under a new epoch', async (u) => {
    if (!hasProgram('etcdctl')) {
      assert.ok(!process.env.CI, 'CI needs etcdctl');
      u.skip('no etcdctl in PATH');
      return;
    }
    const file = path.join(tempFolder(u), 'backup');
    const before = (await a.admin.get()).snapshot;
    await etcdctl('--endpoints', cluster.endpoints[0] ?? '', 'snapshot', 'save', file);
    await a.admin.applied({ edges: [edgeOf('after-the-backup')] });
    await cluster.restore(file);
    await until('the restored configuration to be there', async () => {
      const { snapshot } = await b.admin.get();
      return snapshot?.edges.length === before?.edges.length && snapshot?.version?.epoch !== before?.version?.epoch;
    });
    await world.converges(a, b);
  });
});
