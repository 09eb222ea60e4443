// The origin and the processes of the benchmark, for real.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { type TestContext, test } from 'node:test';
import { bodyOf } from '../../../bench/body.ts';
import { ask, fillMany } from '../../../bench/check.ts';
import { startOrigin } from '../../../bench/instance.ts';
import { Processes } from '../../../bench/processes.ts';
import { cacheable, etagOf } from '../../../bench/rows.ts';
import { cpuSeconds, memory } from '../../../bench/usage.ts';
import { tempFolder } from '../../support/temp.ts';
import { until } from '../../support/until.ts';

const skip = process.platform !== 'linux' && 'the benchmark runs on Linux only';

function start(t: TestContext): Processes {
  const processes = new Processes(tempFolder(t));
  t.after(() => processes.close());
  return processes;
}

/** The name of the program that a process runs; undefined when it has ended. */
function nameOf(pid: number): string | undefined {
  try {
    const [, name, state] = /\((.*)\) (\w)/.exec(readFileSync(`/proc/${pid}/stat`, 'utf8')) ?? [];
    return state === 'Z' ? undefined : name;
  } catch {
    return undefined;
  }
}

test('the origin sends each path a body of its own, of the length asked for', { skip }, async (t) => {
  const origin = await startOrigin(start(t), 0);
  for (const path of [cacheable(1024), cacheable(1024, 7), '/forward/1', '/forward/0', '/forward/3000000']) {
    const { status, body } = await ask({ port: origin.port, path });
    assert.equal(status, 200);
    assert.ok(body.equals(bodyOf(path, Number(path.split('/')[2]))), path);
  }
});

test('the origin counts what it is asked for, but not health checks', { skip }, async (t) => {
  const origin = await startOrigin(start(t), 0);
  const counted = await origin.requests();
  await ask({ port: origin.port, path: '/healthz' });
  assert.equal(await origin.requests(), counted);
  await fillMany(origin.port, 100, 64);
  assert.equal(await origin.requests(), counted + 100);
});

test('the origin answers pipelined requests in order, large bodies among them', { skip }, async (t) => {
  const origin = await startOrigin(start(t), 0);
  const paths = ['/forward/10', '/forward/400000', cacheable(20), '/forward/5'];
  const socket = connect(origin.port, '127.0.0.1');
  const last = bodyOf('/forward/5', 5).toString();
  let text = '';
  socket.on('data', (piece) => {
    text += piece.toString('latin1');
    if (text.endsWith(`\r\n\r\n${last}`)) socket.end();
  });
  socket.write(paths.map((path) => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`).join(''));
  await once(socket, 'close');
  const bodies = text.split(/HTTP\/1\.1 200 OK\r\n.*?\r\n\r\n/s).slice(1);
  assert.deepEqual(
    bodies,
    paths.map((path) => bodyOf(path, Number(path.split('/')[2])).toString()),
  );
  assert.ok(text.includes(`ETag: ${etagOf(cacheable(20))}\r\n`));
  assert.ok(text.includes('Cache-Control: no-store\r\n'));
});

test('a process is pinned to its core, measured with its children, and gone with them after stop', {
  skip,
}, async (t) => {
  const processes = start(t);
  const script = 'taskset -cp $$; while :; do :; done & echo child $!; wait';
  const running = processes.start('busy', { args: ['sh', '-c', script] }, 0);
  await until('it has written the id of its child', () => /child \d+/.test(running.tail()));
  assert.match(running.tail(), /affinity list: 0\n/);
  const child = Number(/child (\d+)/.exec(running.tail())?.[1]);
  await until('the child has used CPU time', () => cpuSeconds([running.pid]) > 0.05);
  assert.ok(memory([running.pid]).pssBytes > 0);
  assert.equal(running.ended(), undefined);
  await running.stop();
  assert.match(running.ended() ?? '', /SIGTERM|SIGKILL/);
  await until('the child is gone', () => nameOf(child) === undefined);
});

test('a run gives its output, or says how the program failed', { skip }, async (t) => {
  const processes = start(t);
  const sh = (script: string) => ({ args: ['sh', '-c', script] });
  const limitMs = 10_000;
  assert.equal((await processes.run(sh('echo out'), 0, { limitMs })).stdout, 'out\n');
  await assert.rejects(processes.run(sh('echo no >&2; exit 3'), 0, { limitMs }), /ended with 3: no/);
  await assert.rejects(processes.run(sh('sleep 60'), 0, { limitMs: 50 }), /sh took longer than 50 ms|setpriv took/);
  const interruptible = sh('trap "echo interrupted; exit 0" INT; while :; do sleep 0.01; done');
  const { stdout } = await processes.run(interruptible, 0, { limitMs, interruptMs: 200 });
  assert.equal(stdout, 'interrupted\n');
});

test('servers do not outlive a benchmark that is killed', { skip }, async (t) => {
  const directory = tempFolder(t);
  const program = `
    import { Processes } from '${new URL('../../../bench/processes.ts', import.meta.url)}';
    const processes = new Processes('${directory}');
    console.log(processes.start('sleeper', { args: ['sleep', '60'] }, 0).pid);
    setInterval(() => {}, 1000);`;
  const killed = spawn(process.execPath, ['--input-type=module-typescript', '-e', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = await once(killed.stdout, 'data');
  const pid = Number(String(line));
  await until('setpriv and taskset have become the program itself', () => nameOf(pid) === 'sleep');
  killed.kill('SIGKILL');
  await until('the sleeper is gone', () => nameOf(pid) === undefined);
});
