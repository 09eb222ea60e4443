// What the local stack relies on of the operating system: locks, ports, child processes and their logs.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { spawnChild } from '../../../cli/stack/child.ts';
import { takeLock } from '../../../cli/stack/lock.ts';
import { takenPorts } from '../../../cli/stack/ports.ts';

const directory = mkdtempSync(path.join(tmpdir(), 'meridian-processes-'));
after(() => rmSync(directory, { recursive: true, force: true }));

const LOCK_MODULE = fileURLToPath(new URL('../../../cli/stack/lock.ts', import.meta.url));

function program(name: string, text: string): string {
  const file = path.join(directory, `${name}.mjs`);
  writeFileSync(file, text);
  return file;
}

test('a data directory has one holder, and others learn its pid', () => {
  const first = takeLock(directory, 4711);
  assert.equal(first.kind, 'held');
  assert.deepEqual(takeLock(directory, 4712), { kind: 'taken', pid: 4711 });
  if (first.kind === 'held') first.release();
  const second = takeLock(directory, 4712);
  assert.equal(second.kind, 'held');
  if (second.kind === 'held') second.release();
});

test('the lock of a killed holder is free', async () => {
  const holder = program(
    'holder',
    `import { takeLock } from ${JSON.stringify(LOCK_MODULE)};
     console.log(takeLock(${JSON.stringify(directory)}, process.pid).kind);
     process.stdin.resume();`,
  );
  const child = spawn(process.execPath, [holder], { stdio: ['pipe', 'pipe', 'inherit'] });
  assert.equal(String((await once(child.stdout, 'data'))[0]).trim(), 'held');
  assert.deepEqual(takeLock(directory, 1), { kind: 'taken', pid: child.pid });
  child.kill('SIGKILL');
  await once(child, 'exit');
  const lock = takeLock(directory, 1);
  assert.equal(lock.kind, 'held');
  if (lock.kind === 'held') lock.release();
});

test('ports in use are named with what needs them; asking leaves the others free', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  assert.ok(typeof address === 'object' && address !== null);
  const uses = [
    { port: address.port, need: 'edge' },
    { port: 0, need: 'origin' },
  ];
  assert.deepEqual(await takenPorts(uses, '127.0.0.1'), [{ port: address.port, need: 'edge', reason: 'EADDRINUSE' }]);
  server.close();
  await once(server, 'close');
  assert.deepEqual(await takenPorts(uses, '127.0.0.1'), []);
});

test('a child is ready when it says so; both its outputs go to its log', async () => {
  const file = program(
    'ready',
    `console.log('to stdout'); console.error('to stderr');
     process.send({ ready: true });
     process.on('disconnect', () => process.exit(0));`,
  );
  const logFile = path.join(directory, 'logs', 'ready.log');
  const child = spawnChild({ name: 'ready', args: [file], logFile });
  await child.ready;
  child.signal('SIGTERM');
  assert.deepEqual(await child.exited, { code: null, signal: 'SIGTERM' });
  assert.equal(readFileSync(logFile, 'utf8'), 'to stdout\nto stderr\n');
});

test('what a failing child wrote last is there to be shown, and nothing that another start wrote', async () => {
  const logFile = path.join(directory, 'logs', 'fails.log');
  const start = (count: number) => {
    const text = `for (let i = 0; i < ${count}; i++) console.error('line ' + i + ' of ${count}'); process.exitCode = 3;`;
    return spawnChild({ name: 'fails', args: [program('fails', text)], logFile });
  };
  const long = start(1000);
  assert.deepEqual(await long.exited, { code: 3, signal: null });
  assert.deepEqual(
    long.lastLines(),
    [995, 996, 997, 998, 999].map((i) => `line ${i} of 1000`),
  );
  const short = start(2);
  await short.exited;
  assert.deepEqual(short.lastLines(), ['line 0 of 2', 'line 1 of 2']);
  const silent = start(0);
  await silent.exited;
  assert.deepEqual(silent.lastLines(), []);
});

test('a log that has grown past its bound is put aside at the next start, once', async () => {
  const file = program('short', `console.log('new')`);
  const logFile = path.join(directory, 'logs', 'long.log');
  writeFileSync(logFile, Buffer.alloc(10 * 1024 * 1024 + 1, 'x'));
  await spawnChild({ name: 'long', args: [file], logFile }).exited;
  assert.equal(readFileSync(logFile, 'utf8'), 'new\n');
  assert.equal(statSync(`${logFile}.1`).size, 10 * 1024 * 1024 + 1);
});
