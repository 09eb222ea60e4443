// The log of a worker: its lines go to the main thread, which has the log. Bounded, since a line that a client can provoke could
// otherwise fill the main thread's queue: what is too much is counted, and the count is told with the next line.
import type { Clock } from '../../../infra/runtime/clock.ts';
import type { Log } from '../../../infra/runtime/log.ts';
import { Budget } from '../../decide/budget.ts';
import type { FromWorker } from './messages.ts';

type Line = FromWorker & { kind: 'log' };

/** Lines at once, and each second after. */
const BURST = 200;
const PER_SECOND = 50;

/** `thread` is added to the fields of each line. */
export function relayedLog(say: (line: Line) => void, clock: Clock, thread: number): Log {
  const budget = new Budget(BURST, PER_SECOND, clock.monotonic());
  let left = 0;
  const relay =
    (level: Line['level']) =>
    (fields: object, message: string): void => {
      if (!budget.take(clock.monotonic())) {
        left += 1;
        return;
      }
      const more = left === 0 ? { thread } : { thread, linesLeftOut: left };
      left = 0;
      try {
        say({ kind: 'log', level, fields: { ...fields, ...more }, message });
      } catch {
        // What cannot be passed between threads is told without its details.
        say({ kind: 'log', level, fields: more, message });
      }
    };
  return { debug: relay('debug'), info: relay('info'), warn: relay('warn'), error: relay('error') };
}
