// Folders, and those above them. Node's own recursive mkdir is not used: where a file system refuses a folder with ENOENT, as /proc
// does, it tries for ever.
import { mkdirSync, statSync } from 'node:fs';
import path from 'node:path';

/**
 * Makes `folder` and those above it that are missing, one by one, with this `mode`. Throws an Error with the system's `code` that
 * says which of them cannot be and why; those above it stay.
 */
export function makeFolders(folder: string, mode = 0o777): void {
  const missing: string[] = [];
  for (let at = path.resolve(folder); !isFolder(at); at = path.dirname(at)) missing.push(at);
  for (const next of missing.reverse()) {
    try {
      mkdirSync(next, { mode });
    } catch (error) {
      if (codeOf(error) === 'EEXIST' && isFolder(next)) continue;
      throw refusal(next, error);
    }
  }
}

/** False: there is nothing of that name. Throws for what is no folder, and where nobody may look. */
function isFolder(name: string): boolean {
  try {
    if (statSync(name).isDirectory()) return true;
  } catch (error) {
    // What stands in the way is found as one of those above it.
    if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR') return false;
    throw error;
  }
  throw Object.assign(new Error(`${name} is not a folder`), { code: 'ENOTDIR' });
}

function refusal(folder: string, error: unknown): Error {
  const code = codeOf(error);
  // The one above it is there.
  const reason =
    code === 'ENOENT' ? 'nothing can be made there' : error instanceof Error ? error.message : String(error);
  return Object.assign(new Error(`${path.dirname(folder)}: ${reason}`, { cause: error }), { code });
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined;
}
