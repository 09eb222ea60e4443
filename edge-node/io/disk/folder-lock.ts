// One process to a folder. The lock is one that the system holds for a process and takes back when it dies, however it dies; of
// what Node.js offers, SQLite has it.
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';

const NAME = 'lock';

/** Another process has the folder. */
export class FolderInUseError extends Error {
  override readonly name = 'FolderInUseError';
}

/** What lets go of it. Throws a {@link FolderInUseError}, or an error when a file cannot be made there. */
export function lockFolder(folder: string): () => void {
  const database = new DatabaseSync(path.join(folder, NAME));
  try {
    database.exec('PRAGMA busy_timeout = 0; BEGIN EXCLUSIVE');
  } catch (error) {
    database.close();
    if (error instanceof Error && /locked|busy/i.test(error.message)) {
      throw new FolderInUseError(
        `the folder ${folder} is in use by another process: give each edge a cache folder of its own`,
        {
          cause: error,
        },
      );
    }
    throw error;
  }
  return () => database.close();
}
