// For commands that go on until somebody ends them: Ctrl-C and its kin as a promise, and a process that stays for it.
import type { Io } from './command.ts';

export interface Interrupt {
  /** Resolves at the first signal. */
  readonly asked: Promise<void>;
  /**
   * The process may end, and signals do again what they do, if there was none. One may come twice, from a terminal and passed on
   * by a parent: the second must not break off what the first one asked for.
   */
  close(): void;
}

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'];

export function listenForInterrupt(io: Io): Interrupt {
  const { promise: asked, resolve } = Promise.withResolvers<void>();
  let isAsked = false;
  const listener = (): void => {
    isAsked = true;
    resolve();
  };
  for (const signal of SIGNALS) io.process.on(signal, listener);
  // Timers and idle connections alone do not keep this process alive.
  const alive = new MessageChannel();
  alive.port1.ref();
  return {
    asked,
    close() {
      for (const signal of isAsked ? [] : SIGNALS) io.process.removeListener(signal, listener);
      alive.port1.close();
    },
  };
}
