// `meridian up`: the local stack, from the first check of its ports to its last process's end.
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { makeFolders } from '../../infra/runtime/folders.ts';
import { parseDuration } from '../config/duration.ts';
import { printable } from '../output/text.ts';
import { spawnChild } from '../stack/child.ts';
import { INSTALL_ETCD, onPath } from '../stack/etcd.ts';
import { HOST, type Layout, layOut, PORT_BASE, portsOf } from '../stack/layout.ts';
import { ADMINISTRATOR, logFolder, type StackOptions, startStack, tlsFlags, wipe } from '../stack/local-stack.ts';
import { takeLock } from '../stack/lock.ts';
import { takenPorts } from '../stack/ports.ts';
import { describeStack } from '../stack/report.ts';
import { StartFailure, Supervisor } from '../stack/supervisor.ts';
import { CLIENT_OPTIONS } from './client.ts';
import { type Arguments, type Command, EXIT, Failure, type Io, UsageError } from './command.ts';
import { SAMPLE_OPTION } from './edge.ts';
import { listenForInterrupt } from './interrupt.ts';
import { choiceOption, durationOption, given, noMore, portBaseOption, shareOption } from './values.ts';

const START_MS = 30_000;
const STOP_MS = 5000;

export const command: Command = {
  name: 'up',
  summary: 'Run the local stack: a control plane, edges in several regions and demo origins',
  usage: ['up'],
  description: [
    'Starts a control plane, edges placed in three regions and demonstration origins in four cities, each a process of its ' +
      'own on loopback ports, and prints what runs where and what to try. Ctrl-C ends all of them.',
    'A process that dies is reported and started again. State and logs are kept in the data directory, so that the next ' +
      '"up" goes on where this one stopped; --fresh begins anew.',
  ],
  options: {
    data: { type: 'string', value: 'DIR', default: '.meridian', doc: 'Where state and logs are kept.' },
    fresh: { type: 'boolean', doc: 'Remove the state and logs of former runs first.' },
    store: {
      type: 'string',
      value: 'KIND',
      default: 'embedded',
      doc: 'Where the control plane keeps its state: embedded (a file) or etcd (started too, unless --etcd is given).',
    },
    etcd: { type: 'string', value: 'URL', doc: 'An etcd that runs already, such as http://127.0.0.1:2379.' },
    tls: {
      type: 'boolean',
      doc: 'Make certificates in the data directory, and use them between the control plane, the edges and this command.',
    },
    'port-base': {
      type: 'string',
      value: 'PORT',
      doc: `Put everything on ports from here on (${PORT_BASE.min} to ${PORT_BASE.max}), for a second stack or where the usual ports are in use.`,
    },
    'access-log-sample': SAMPLE_OPTION,
    'restart-after': {
      type: 'string',
      value: 'DURATION',
      default: '15s',
      doc: 'How long a process that died stays away; "never": it is not started again.',
    },
  },
  examples: [
    { line: 'meridian up', doc: 'The local stack.' },
    { line: 'meridian up --fresh --store etcd', doc: 'From nothing, with the state in etcd.' },
    { line: 'meridian up --data /tmp/second --port-base 20000', doc: 'A second one beside it.' },
  ],

  async run(args, io) {
    noMore(args.positionals);
    const directory = given(args, 'data');
    shareOption(args, 'access-log-sample');
    const options = {
      layout: layOut(portBaseOption(args, 'port-base', PORT_BASE)),
      directory,
      tls: args.flag('tls'),
      store: storeOf(args),
      accessLogSample: given(args, 'access-log-sample'),
    };
    const restartAfterMs = restartAfter(args);
    if (options.store.kind === 'own-etcd' && !onPath('etcd', io.env.PATH)) {
      throw new Failure(
        `--store etcd needs etcd, which is not on the PATH: ${INSTALL_ETCD}, or give --etcd URL of one`,
      );
    }
    const lock = lockDirectory(directory);
    try {
      if (args.flag('fresh')) wipe(directory);
      await checkPorts(options);
      return await runStack(options, restartAfterMs, io);
    } finally {
      lock.release();
    }
  },
};

function storeOf(args: Arguments): StackOptions['store'] {
  const endpoint = args.text('etcd');
  if (endpoint !== undefined) return { kind: 'etcd', endpoint };
  return { kind: choiceOption(args, 'store', ['embedded', 'etcd']) === 'etcd' ? 'own-etcd' : 'embedded' };
}

/** Milliseconds; undefined: never. */
function restartAfter(args: Arguments): number | undefined {
  const text = given(args, 'restart-after');
  if (text === 'never') return undefined;
  if (parseDuration(text) === undefined) {
    throw new UsageError(`--restart-after: expected a duration such as 15s, or never, found "${text}"`);
  }
  return durationOption(args, 'restart-after', { min: 100, max: 3_600_000 });
}

function lockDirectory(directory: string): { release(): void } {
  let lock: ReturnType<typeof takeLock>;
  try {
    makeFolders(directory);
    lock = takeLock(directory, process.pid);
  } catch (error) {
    throw new Failure(`--data: ${directory} cannot be written: ${error instanceof Error ? error.message : error}`, {
      cause: error,
    });
  }
  if (lock.kind === 'held') return lock;
  throw new Failure(
    `a local stack already runs with its state in ${directory}${lock.pid === undefined ? '' : ` (pid ${lock.pid})`}: ` +
      'end it with Ctrl-C, or give this one its own --data DIR and --port-base PORT',
  );
}

async function checkPorts({ layout, store }: StackOptions): Promise<void> {
  const taken = await takenPorts(portsOf(layout, store.kind === 'own-etcd'), HOST);
  if (taken.length === 0) return;
  const lines = taken.map(({ port, need, reason }) => {
    const why = reason === 'EADDRINUSE' ? 'is in use' : `cannot be used (${reason})`;
    return `port ${port} on ${HOST} ${why}; ${need} needs it`;
  });
  throw new Failure(`${lines.join('\n')}\nend what uses it, or choose other ports: meridian up --port-base 20000`);
}

async function runStack(options: StackOptions, restartAfterMs: number | undefined, io: Io): Promise<number> {
  const supervisor = new Supervisor({
    clock: io.clock,
    spawn: spawnChild,
    restartAfterMs,
    startMs: START_MS,
    stopMs: STOP_MS,
    report: (line) => io.stderr.write(`${line}\n`),
  });
  // While all children wait for their restart too.
  const interrupt = listenForInterrupt(io);
  const began = io.clock.monotonic();
  try {
    const result = await Promise.race([startStack(options, supervisor, io), interrupt.asked]);
    if (result) {
      const seconds = ((io.clock.monotonic() - began) / 1000).toFixed(1);
      io.stdout.write(`Meridian is up, after ${seconds} s.\n\n${describe(options, supervisor, restartAfterMs)}`);
      if (result.kind === 'unwell') io.stderr.write(`${result.detail}; "meridian status" shows how it goes on\n`);
      await interrupt.asked;
    }
    io.stderr.write('stopping\n');
    return EXIT.done;
  } catch (error) {
    if (!(error instanceof StartFailure)) throw error;
    const lines = error.lastLines.map((line) => `\n  ${printable(line)}`);
    throw new Failure(`${error.message}; the end of ${error.logFile}:${lines.join('') || ' nothing'}`, {
      cause: error,
    });
  } finally {
    await supervisor.stop();
    interrupt.close();
  }
}

function describe(options: StackOptions, supervisor: Supervisor, restartAfterMs: number | undefined): string {
  const { layout, store, directory } = options;
  return describeStack({
    layout,
    pid: (name) => supervisor.pid(name),
    command: commandFromHere(),
    controlFlag: controlFlag(options),
    portFlag: portFlag(layout),
    store: store.kind === 'embedded' ? 'embedded store' : 'etcd',
    logs: logFolder(directory),
    restartAfterMs,
  });
}

function commandFromHere(): string {
  const program = fileURLToPath(new URL('../../bin/meridian.js', import.meta.url));
  const relative = path.relative('.', program);
  return relative.startsWith('..') ? program : `./${relative}`;
}

function controlFlag(options: StackOptions): string {
  const address = `${HOST}:${options.layout.control.adminPort}`;
  const where = address === CLIENT_OPTIONS['control-plane'].default ? [] : ['--control-plane', address];
  return [...where, ...tlsFlags(options, ADMINISTRATOR)].map((word) => ` ${word}`).join('');
}

function portFlag({ control }: Layout): string {
  return control.edgePort === layOut().control.edgePort ? '' : ` --port-base ${control.edgePort}`;
}
