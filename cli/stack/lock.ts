// One local stack per data directory. The lock is a write transaction held open on a small database: the operating system
// drops it with the process, so a lock is never stale, whatever became of its holder or its pid.
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';

export type Lock =
  | { readonly kind: 'held'; release(): void }
  | { readonly kind: 'taken' /** Of the process that holds it, where known. */; readonly pid: number | undefined };

/** `directory` exists. Throws what node:sqlite throws when it cannot be written. */
export function takeLock(directory: string, ownPid: number): Lock {
  const database = new DatabaseSync(path.join(directory, 'up.lock'));
  try {
    database.exec('PRAGMA busy_timeout = 0; CREATE TABLE IF NOT EXISTS holder (pid INTEGER NOT NULL)');
    database.exec('BEGIN IMMEDIATE');
    database.exec('DELETE FROM holder');
    database.prepare('INSERT INTO holder VALUES (?)').run(ownPid);
    // Others read what is committed while this transaction is open; it makes no change of its own.
    database.exec('COMMIT; BEGIN IMMEDIATE');
  } catch (error) {
    if (!isBusy(error)) {
      database.close();
      throw error;
    }
    const pid = readHolder(database);
    database.close();
    return { kind: 'taken', pid };
  }
  return { kind: 'held', release: () => database.close() };
}

/** Undefined while the first holder has not yet written itself down. */
function readHolder(database: DatabaseSync): number | undefined {
  const table = database.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'holder'").get();
  const holder = table && database.prepare('SELECT pid FROM holder').get();
  return typeof holder?.pid === 'number' ? holder.pid : undefined;
}

/** SQLITE_BUSY, extended or not. */
function isBusy(error: unknown): boolean {
  return (
    error instanceof Error && 'errcode' in error && typeof error.errcode === 'number' && (error.errcode & 0xff) === 5
  );
}
