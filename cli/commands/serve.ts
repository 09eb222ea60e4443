// How a process of the planes runs: until a signal, or until the `meridian up` that started it is gone; then stopped in order.
import type { Log, LogLevel } from '../../infra/runtime/log.ts';
import { clip } from '../output/text.ts';
import { EXIT, Failure, type Io, type Option } from './command.ts';

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error', 'silent'] as const satisfies readonly LogLevel[];

export const LOG_OPTION: Option = {
  type: 'string',
  value: 'LEVEL',
  default: 'info',
  env: 'MERIDIAN_LOG_LEVEL',
  doc: `How much is logged on stderr: ${LOG_LEVELS.join(', ')}.`,
};

export interface Served {
  /** Actual ports by name, as `{ready: true, ...ports}` tells them to the process that started this one. */
  readonly ports: Readonly<Record<string, number>>;
  /** Resolves, with the reason, should it be over without a signal. */
  readonly ended?: Promise<string>;
  /** On SIGHUP, which else ends the process. */
  readonly reopen?: () => void;
  stop(): Promise<void>;
}

/**
 * A terminal's Ctrl-C may arrive twice, directly and passed on by a parent; later than this it is a second one,
 * milliseconds.
 */
const SAME_SIGNAL_MS = 500;

/** 128 + SIGINT, as shells have it. */
const FORCED = 130;

/** Resolves with the exit code when what `start` started is stopped. Throws Failure when it cannot be started. */
export async function serve(name: string, io: Io, log: Log, start: () => Promise<Served>): Promise<number> {
  const ending = Promise.withResolvers<unknown>();
  let firstAt: number | undefined;
  const onSignal = (signal: unknown): void => {
    firstAt ??= io.clock.monotonic();
    ending.resolve(signal);
    if (io.clock.monotonic() - firstAt <= SAME_SIGNAL_MS) return;
    log.warn({ signal }, 'a second signal: ending at once');
    io.process.exit(FORCED);
  };
  const onOrphaned = (): void => ending.resolve('the process that started this one is gone');
  const onUncaught = (err: unknown): void => {
    // What state is left is not known, so nothing more is done with it.
    log.error({ err }, `uncaught error, ending: ${err instanceof Error ? err.message : String(err)}`);
    io.process.exit(EXIT.failed);
  };
  const listeners: Record<string, (...args: unknown[]) => void> = {
    SIGTERM: onSignal,
    SIGINT: onSignal,
    disconnect: onOrphaned,
    uncaughtException: onUncaught,
    unhandledRejection: onUncaught,
  };
  for (const [event, listener] of Object.entries(listeners)) io.process.on(event, listener);
  try {
    const served = await started(start);
    log.info(served.ports, `${name} is ready`);
    io.process.send?.({ ready: true, ...served.ports });
    if (served.reopen) {
      listeners.SIGHUP = served.reopen;
      io.process.on('SIGHUP', served.reopen);
    }
    void served.ended?.then(ending.resolve);
    const cause = await ending.promise;
    log.info({ cause }, `${name} is stopping`);
    await served.stop();
    return EXIT.done;
  } finally {
    for (const [event, listener] of Object.entries(listeners)) io.process.removeListener(event, listener);
  }
}

async function started(start: () => Promise<Served>): Promise<Served> {
  try {
    return await start();
  } catch (error) {
    if (error instanceof Failure || !(error instanceof Error)) throw error;
    throw new Failure(`cannot start: ${describeStart(error)}`, { cause: error });
  }
}

function describeStart(error: Error): string {
  const code = 'code' in error ? error.code : undefined;
  const message = clip(error.message, 500);
  if (code === 'EADDRINUSE') return `${message}. Another program listens there: stop it, or choose another port.`;
  if (code === 'EACCES') return `${message}. A port below 1024, or a file of somebody else's?`;
  if (code === 'EADDRNOTAVAIL') return `${message}. This machine does not have that address.`;
  return message;
}
