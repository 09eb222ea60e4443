// The log that people read when something went wrong. Access logs are another thing (edge-node/io/access-log.ts).
import pino from 'pino';

/** Fields first, then a sentence: what happened, where, and what to do. */
export interface Log {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent';

/** One JSON line an event on standard error, each with `component` and what `fields` adds. */
export function createLog(component: string, level: LogLevel, fields: object = {}): Log {
  return pino(
    { level, base: { component, ...fields }, timestamp: pino.stdTimeFunctions.isoTime },
    pino.destination({ fd: 2, sync: true }),
  );
}

const nothing = (): void => undefined;
export const silentLog: Log = { debug: nothing, info: nothing, warn: nothing, error: nothing };
