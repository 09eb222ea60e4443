// Fails when proto/gen is not what buf makes of the .proto files today.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';

const root = path.join(import.meta.dirname, '..');
// Inside the project, so that buf's output path stays relative.
const fresh = mkdtempSync(path.join(root, 'node_modules', '.generated-'));
try {
  execFileSync(path.join(root, 'node_modules/.bin/buf'), ['generate', '--output', fresh], {
    cwd: root,
    stdio: 'inherit',
  });
  const listing = (folder: string) =>
    readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => path.relative(folder, path.join(entry.parentPath, entry.name)))
      .toSorted();
  const generated = path.join(fresh, 'proto/gen');
  const committed = path.join(root, 'proto/gen');
  const differing = [...new Set([...listing(generated), ...listing(committed)])].filter((file) => {
    const read = (folder: string) => {
      try {
        return readFileSync(path.join(folder, file), 'utf8');
      } catch {
        return undefined;
      }
    };
    return read(generated) !== read(committed);
  });
  if (differing.length > 0) {
    console.error(`proto/gen is out of date (${differing.join(', ')}): run "npm run generate" and commit the result`);
    process.exitCode = 1;
  }
} finally {
  rmSync(fresh, { recursive: true, force: true });
}
