// For commands that go on until somebody ends them: Ctrl-C and its kin as a promise, and a process that stays for it.
import type { Io } from './command.ts';

export interface Interrupt {
  /** Resolves at the first signal. */
  readonly asked: Promise<void>;
  /** Signals do again what they do, and the process may end. */
  close(): void;
}

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'];

export function listenForInterrupt(io: Io): Interrupt {
  const { promise: asked, resolve } = Promise.withResolvers<void>();
  const listener = (): void => resolve();
  for (const signal of SIGNALS) io.process.on(signal, listener);
  // Timers and idle connections alone do not keep this process alive.
  const alive = new MessageChannel();
  alive.port1.ref();
  return {
    asked,
    close() {
      for (const signal of SIGNALS) io.process.removeListener(signal, listener);
      alive.port1.close();
    },
  };
}
