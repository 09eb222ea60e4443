// What `npm test` runs: makes sure that the programs which some tests need are there, then runs Node's test runner over the
// tests that any machine can run (the compose test, which needs Docker, is `npm run test:compose`).
//
//   npm test                                   everything
//   npm test -- test/unit/geo                  a folder, or files
//   npm test -- --test-name-pattern=purge      options go to node --test
import { spawnSync } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { INSTALL_ETCD, onPath } from '../cli/stack/etcd.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const EVERYTHING = ['test/rules', 'test/unit', 'test/integration', 'test/stack/up.test.ts'];
/** Test files at once. Several of them start processes of their own. */
const CONCURRENCY = 2;
/** No file takes nearly as long, milliseconds: what hangs fails. */
const TIMEOUT_MS = 180_000;

function main(args: readonly string[]): number {
  if (!hasEtcd() && !installEtcd()) {
    if (!['', '0', 'false'].includes(process.env.CI ?? '')) {
      console.error('etcd is not on the PATH and could not be installed; in CI no test may be left out');
      return 1;
    }
    console.error(
      `etcd is not on the PATH: the tests of the etcd store will be skipped. To run them, ${INSTALL_ETCD}.`,
    );
  }
  const options = args.filter((arg) => arg.startsWith('-'));
  const paths = args.filter((arg) => !arg.startsWith('-'));
  const missing = paths.filter((given) => !/[*?]/.test(given) && !existsSync(path.join(ROOT, given)));
  if (missing.length > 0) {
    console.error(`no such test: ${missing.join(', ')} (paths are relative to the project)`);
    return 2;
  }
  const result = spawnSync(
    process.execPath,
    [
      '--test',
      `--test-concurrency=${CONCURRENCY}`,
      `--test-timeout=${TIMEOUT_MS}`,
      ...options,
      ...(paths.length > 0 ? paths : EVERYTHING).map(glob),
    ],
    { cwd: ROOT, stdio: 'inherit' },
  );
  return result.status ?? 1;
}

/** A folder stands for all tests in it. */
function glob(given: string): string {
  const isFolder = statSync(path.join(ROOT, given), { throwIfNoEntry: false })?.isDirectory() === true;
  return isFolder ? `${given.replace(/\/+$/, '')}/**/*.test.ts` : given;
}

function hasEtcd(): boolean {
  return onPath('etcd', process.env.PATH);
}

/** From Debian's packages, where this process may do that. */
function installEtcd(): boolean {
  if (process.getuid?.() !== 0 || !existsSync('/etc/debian_version')) return false;
  console.error('etcd is not on the PATH: installing the package etcd-server');
  const apt = (...args: string[]) =>
    spawnSync('apt-get', ['-qq', ...args], {
      stdio: ['ignore', 'ignore', 'inherit'],
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    }).status === 0;
  return apt('update') && apt('install', '-y', '--no-install-recommends', 'etcd-server') && hasEtcd();
}

process.exitCode = main(process.argv.slice(2));
