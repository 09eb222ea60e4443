// The embedded store: one file, one process. SQLite in WAL mode, each commit on disk (synchronous=FULL) before it is
// answered, the file locked for as long as it is open. What watches need of the past is kept in memory: a restart loses them
// anyway.
import { randomUUID } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import type { Batch, Compare, Operation, Transaction } from '../decide/keys.ts';
import { type CommitResult, type Reading, type Store, StoreError, type Watch, type WatchHandlers } from '../ports.ts';

/** In the file's header, so that it is known for ours: "MRDN". */
const APPLICATION_ID = 0x4d52444e;
/** Of the tables. */
const FORMAT = 1;
/** Batches that a watch can go back. */
const HISTORY_BATCHES = 256;
/** Characters of keys and values in them. */
const HISTORY_CHARACTERS = 64 * 1024 * 1024;

const SCHEMA = `
  CREATE TABLE meta (identity TEXT NOT NULL, revision INTEGER NOT NULL) STRICT;
  CREATE TABLE entries (key TEXT PRIMARY KEY, value TEXT NOT NULL, mod_revision INTEGER NOT NULL) STRICT, WITHOUT ROWID;
`;

/** SQLite's result codes (the low byte of an extended one). */
const BUSY = 5;
const READ_ONLY = 8;
const CORRUPT = 11;
const FULL = 13;
const CANNOT_OPEN = 14;
const NOT_A_DATABASE = 26;

interface Watcher {
  readonly prefix: string;
  readonly handlers: WatchHandlers;
  /** The revision that it has not seen yet. */
  next: number;
}

/** Opens `file`, made with its folder when it does not exist. Throws a StoreError of kind `unusable`. */
export function openSqliteStore(file: string): Store {
  let database: DatabaseSync | undefined;
  try {
    mkdirSync(path.dirname(file), { recursive: true });
    database = new DatabaseSync(file, { timeout: 0 });
    prepareFile(database, file);
    return new SqliteStore(database, file);
  } catch (error) {
    database?.close();
    throw openError(file, error);
  }
}

function prepareFile(database: DatabaseSync, file: string): void {
  database.exec('PRAGMA locking_mode = EXCLUSIVE');
  const id = numberOf(database, 'PRAGMA application_id');
  const fresh = id === 0 && numberOf(database, 'SELECT count(*) FROM sqlite_schema') === 0;
  if (!fresh && id !== APPLICATION_ID) {
    throw new StoreError('unusable', `${file} is a SQLite database, but not one of Meridian's; choose another file`);
  }
  const format = numberOf(database, 'PRAGMA user_version');
  if (!fresh && format !== FORMAT) {
    const detail = `its tables have format ${format}, this release reads format ${FORMAT}`;
    throw new StoreError('unusable', `${file} was made by another release of Meridian: ${detail}`);
  }
  database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; BEGIN EXCLUSIVE');
  if (fresh) {
    database.exec(`${SCHEMA} PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = ${FORMAT}`);
    database.prepare('INSERT INTO meta VALUES (?, 0)').run(`sqlite:${randomUUID()}`);
  }
  database.exec('COMMIT');
  const check = String(Object.values(database.prepare('PRAGMA quick_check(1)').get() ?? {})[0]);
  if (check !== 'ok') throw new StoreError('unusable', damaged(file, check.replace(/\s+/g, ' ')));
}

class SqliteStore implements Store {
  readonly kind = 'embedded';
  readonly session = undefined;
  readonly place: string;
  readonly #database: DatabaseSync;
  readonly #identity: string;
  readonly #statements: {
    readonly read: StatementSync;
    readonly modRevision: StatementSync;
    readonly put: StatementSync;
    readonly remove: StatementSync;
    readonly setRevision: StatementSync;
  };
  readonly #watchers = new Set<Watcher>();
  /** Batch `i` has revision `#forgotten + 1 + i`. */
  readonly #history: Batch[] = [];
  #historyCharacters = 0;
  #revision: number;
  /** Batches up to here are not in the history. */
  #forgotten: number;

  constructor(database: DatabaseSync, file: string) {
    this.#database = database;
    this.place = file;
    const meta = database.prepare('SELECT identity, revision FROM meta').get();
    if (typeof meta?.identity !== 'string' || typeof meta.revision !== 'number') {
      throw new StoreError('unusable', damaged(file, 'it has no identity'));
    }
    this.#identity = meta.identity;
    this.#revision = meta.revision;
    this.#forgotten = this.#revision;
    this.#statements = {
      read: database.prepare(
        'SELECT key, value, mod_revision FROM entries WHERE key >= ?1 AND substr(key, 1, length(?1)) = ?1 ORDER BY key',
      ),
      modRevision: database.prepare('SELECT mod_revision FROM entries WHERE key = ?'),
      put: database.prepare(
        'INSERT INTO entries VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET value = excluded.value, mod_revision = excluded.mod_revision',
      ),
      remove: database.prepare('DELETE FROM entries WHERE key = ?'),
      setRevision: database.prepare('UPDATE meta SET revision = ?'),
    };
  }

  async identity(): Promise<string> {
    return this.#identity;
  }

  async read(prefix: string): Promise<Reading> {
    const rows = this.#run(() => this.#statements.read.all(prefix));
    const entries = rows.map((row) => ({
      key: String(row.key),
      value: String(row.value),
      modRevision: Number(row.mod_revision),
    }));
    return { revision: this.#revision, entries };
  }

  async commit({ compares, operations }: Transaction): Promise<CommitResult> {
    if (new Set(operations.map(({ key }) => key)).size < operations.length) {
      throw new StoreError('unusable', 'a transaction may not write one key twice');
    }
    return this.#run(() => {
      this.#database.exec('BEGIN IMMEDIATE');
      try {
        if (!compares.every((compare) => this.#holds(compare))) {
          this.#database.exec('ROLLBACK');
          return { kind: 'conflict', revision: this.#revision };
        }
        const revision = this.#revision + 1;
        const events = operations.filter((operation) => this.#write(operation, revision));
        if (events.length > 0) this.#statements.setRevision.run(revision);
        this.#database.exec('COMMIT');
        if (events.length > 0) this.#remember({ revision, events });
        return { kind: 'committed', revision: this.#revision };
      } catch (error) {
        if (this.#database.isTransaction) this.#database.exec('ROLLBACK');
        throw error;
      }
    });
  }

  watch(prefix: string, fromRevision: number, handlers: WatchHandlers): Watch {
    const watcher: Watcher = { prefix, handlers, next: fromRevision };
    this.#watchers.add(watcher);
    queueMicrotask(() => this.#deliver(watcher));
    return { stop: () => this.#watchers.delete(watcher) };
  }

  async close(): Promise<void> {
    this.#watchers.clear();
    if (this.#database.isOpen) this.#database.close();
  }

  #holds({ key, modRevision }: Compare): boolean {
    return Number(this.#statements.modRevision.get(key)?.mod_revision ?? 0) === modRevision;
  }

  /** Whether it changed anything: deleting what is not there does not. */
  #write(operation: Operation, revision: number): boolean {
    if (operation.kind === 'delete') return Number(this.#statements.remove.run(operation.key).changes) > 0;
    this.#statements.put.run(operation.key, operation.value, revision);
    return true;
  }

  #remember(batch: Batch): void {
    this.#revision = batch.revision;
    this.#history.push(batch);
    this.#historyCharacters += weigh(batch);
    while (this.#history.length > HISTORY_BATCHES || this.#historyCharacters > HISTORY_CHARACTERS) {
      const oldest = this.#history.shift();
      if (!oldest) break;
      this.#forgotten = oldest.revision;
      this.#historyCharacters -= weigh(oldest);
    }
    // Not from inside the commit: a watcher that commits in turn would run into the open transaction.
    for (const watcher of this.#watchers) queueMicrotask(() => this.#deliver(watcher));
  }

  #deliver(watcher: Watcher): void {
    if (this.#watchers.has(watcher) && watcher.next <= this.#forgotten) {
      this.#watchers.delete(watcher);
      watcher.handlers.onLost(`revision ${watcher.next} is not remembered any more`);
    }
    while (this.#watchers.has(watcher)) {
      const batch = this.#history[watcher.next - this.#forgotten - 1];
      if (!batch) return;
      watcher.next = batch.revision + 1;
      const events = batch.events.filter(({ key }) => key.startsWith(watcher.prefix));
      if (events.length > 0) watcher.handlers.onBatch({ revision: batch.revision, events });
    }
  }

  #run<T>(work: () => T): T {
    if (!this.#database.isOpen) throw new StoreError('unavailable', `${this.place} is closed`);
    try {
      return work();
    } catch (error) {
      const detail = error instanceof Error ? error.message : String(error);
      if (codeOf(error) === FULL)
        throw new StoreError('unavailable', `the disk that holds ${this.place} is full`, error);
      if (codeOf(error) === CORRUPT) throw new StoreError('unusable', damaged(this.place, detail), error);
      throw new StoreError('unavailable', `${this.place} cannot be used now: ${detail}`, error);
    }
  }
}

function weigh(batch: Batch): number {
  return batch.events.reduce(
    (sum, event) => sum + event.key.length + (event.kind === 'put' ? event.value.length : 0),
    0,
  );
}

function numberOf(database: DatabaseSync, sql: string): number {
  return Number(Object.values(database.prepare(sql).get() ?? {})[0]);
}

function damaged(file: string, detail: string): string {
  return `${file} is damaged (${detail}); restore it from a backup, or move it away to start anew`;
}

function codeOf(error: unknown): number | undefined {
  if (!(error instanceof Error && 'errcode' in error && typeof error.errcode === 'number')) return undefined;
  return error.errcode & 0xff;
}

function openError(file: string, error: unknown): StoreError {
  if (error instanceof StoreError) return error;
  const detail = error instanceof Error ? error.message : String(error);
  switch (codeOf(error)) {
    case BUSY:
      return new StoreError(
        'unusable',
        `${file} is in use by another process, probably another control plane; stop that one or choose another file`,
        error,
      );
    case NOT_A_DATABASE:
      return new StoreError('unusable', `${file} is not a store of Meridian's; choose another file`, error);
    case CORRUPT:
      return new StoreError('unusable', damaged(file, detail), error);
    case READ_ONLY:
      return new StoreError('unusable', `${file} cannot be written to; check its permissions`, error);
    case CANNOT_OPEN:
      return new StoreError('unusable', `${file} cannot be opened; check that it is a file and its permissions`, error);
    default:
      return new StoreError('unusable', `${file} cannot be opened: ${detail}`, error);
  }
}
