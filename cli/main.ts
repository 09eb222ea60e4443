// The `meridian` command: finds the command that was typed, runs it, and turns every way it can end into an exit code and, at
// most, one clear message.
import type { EventEmitter } from 'node:events';
import { readFileSync } from 'node:fs';
import { buffer } from 'node:stream/consumers';
import { systemClock } from '../infra/runtime/clock.ts';
import { systemRandom } from '../infra/runtime/random.ts';
import { parseArguments } from './commands/arguments.ts';
import { EXIT, Failure, type Io, UsageError } from './commands/command.ts';
import { COMMANDS, loadAll } from './commands/registry.ts';
import { commandHelp, overviewHelp } from './output/help.ts';
import { didYouMean } from './output/suggest.ts';
import { clip } from './output/text.ts';

/** Runs the command line `argv` (without program and script) and gives the exit code; never throws. */
export async function run(argv: readonly string[], io: Io): Promise<number> {
  const [name, ...rest] = argv;
  try {
    if (name === undefined) {
      io.stderr.write(overviewHelp(await loadAll()));
      return EXIT.usage;
    }
    if (name === '--version' || name === '-v') {
      io.stdout.write(`meridian ${version()}\n`);
      return EXIT.done;
    }
    if (name === '--help' || name === '-h' || name === 'help') return await help(rest, io);
    return await runCommand(name, rest, io);
  } catch (error) {
    return explainError(error, name ?? '', io);
  }
}

async function help([name]: readonly string[], io: Io): Promise<number> {
  if (name === undefined || name.startsWith('-')) io.stdout.write(overviewHelp(await loadAll()));
  else io.stdout.write(commandHelp(await find(name).load()));
  return EXIT.done;
}

async function runCommand(name: string, argv: readonly string[], io: Io): Promise<number> {
  const command = await find(name).load();
  const args = parseArguments(command, argv, io.env);
  if (args.flag('help')) {
    io.stdout.write(commandHelp(command));
    return EXIT.done;
  }
  return command.run(args, io);
}

function find(name: string) {
  const entry = COMMANDS.find((command) => command.name === name);
  if (entry) return entry;
  const known = COMMANDS.map((command) => command.name);
  throw new UsageError(`unknown command "${clip(name)}"${didYouMean(name, known)}`);
}

function explainError(error: unknown, name: string, io: Io): number {
  const message = error instanceof Error ? error.message : String(error);
  const debug = io.env.MERIDIAN_DEBUG === '1';
  if (debug && error instanceof Error) io.stderr.write(`${error.stack}\n`);
  if (error instanceof UsageError) {
    const topic = COMMANDS.some((command) => command.name === name) ? `meridian help ${name}` : 'meridian help';
    io.stderr.write(`meridian: ${message}\n"${topic}" says how it is used.\n`);
    return EXIT.usage;
  }
  if (error instanceof Failure) io.stderr.write(`meridian: ${message}\n`);
  else
    io.stderr.write(`meridian: unexpected error: ${clip(message, 500)}. MERIDIAN_DEBUG=1 shows where it comes from.\n`);
  return EXIT.failed;
}

function version(): string {
  const manifest: unknown = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
  return typeof manifest === 'object' && manifest !== null && 'version' in manifest ? String(manifest.version) : '0';
}

/** How long open handles may keep the process after its command has ended, milliseconds. */
const LINGER_MS = 2000;

async function main(): Promise<void> {
  const emitter: EventEmitter = process;
  // The reader of a pipe may stop reading (`meridian get | head`): that is no error of ours.
  process.stdout.on('error', (error: NodeJS.ErrnoException) =>
    process.exit(error.code === 'EPIPE' ? EXIT.done : EXIT.failed),
  );
  process.exitCode = await run(process.argv.slice(2), {
    stdout: process.stdout,
    stderr: process.stderr,
    stdin: () => buffer(process.stdin),
    env: process.env,
    colour: process.stdout.isTTY === true && (process.env.NO_COLOR ?? '') === '',
    clock: systemClock,
    random: systemRandom,
    process: {
      on: (event, listener) => emitter.on(event, listener),
      removeListener: (event, listener) => emitter.removeListener(event, listener),
      send: process.send && ((message) => process.send?.(message)),
      exit: (code) => process.exit(code),
    },
  });
  if (process.connected) process.disconnect?.();
  systemClock.after(LINGER_MS, () => process.exit());
}

if (import.meta.main) await main();
