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
import { onPath } from '../cli/stack/etcd.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
/** One after the other in one process: to start one for each file would take twice as long as the tests. */
const QUICK = ['test/rules', 'test/unit'];
/** Each file in a process, in the order in which they are begun: first what takes long, and mostly waits for processes. */
const SLOW = ['test/stack/up.test.ts', 'test/integration'];
/** Of these so many at once. */
const CONCURRENCY = 3;
const APART = [`--test-concurrency=${CONCURRENCY}`];
/** No test, and no file in a process, takes nearly as long, milliseconds: what hangs fails. */
const TIMEOUT_MS = 180_000;
/** Debian's packages, and the program of each that tests run. */
const PACKAGES = { 'etcd-server': 'etcd', 'etcd-client': 'etcdctl' };

function main(args: readonly string[]): number {
  if (missingPackages().length > 0 && !installEtcd()) {
    if (!['', '0', 'false'].includes(process.env.CI ?? '')) {
      console.error(
        'etcd and etcdctl are not both on the PATH and could not be installed; in CI no test may be left out',
      );
      return 1;
    }
    console.error(
      `Without etcd and etcdctl on the PATH the tests that need them will be skipped. To run them, install both (Debian and Ubuntu: apt-get install ${Object.keys(PACKAGES).join(' ')}; macOS: brew install etcd).`,
    );
  }
  const options = args.filter((arg) => arg.startsWith('-'));
  const paths = args.filter((arg) => !arg.startsWith('-'));
  const missing = paths.filter((given) => !/[*?]/.test(given) && !existsSync(path.join(ROOT, given)));
  if (missing.length > 0) {
    console.error(`no such test: ${missing.join(', ')} (paths are relative to the project)`);
    return 2;
  }
  if (paths.length > 0) return run(paths, options, APART);
  const codes = [run(QUICK, options, ['--test-isolation=none']), run(SLOW, options, APART)];
  return Math.max(...codes);
}

function run(paths: readonly string[], options: readonly string[], how: readonly string[]): number {
  const args = ['--test', ...how, `--test-timeout=${TIMEOUT_MS}`, ...options, ...paths.map(glob)];
  return spawnSync(process.execPath, args, { cwd: ROOT, stdio: 'inherit' }).status ?? 1;
}

/** A folder stands for all tests in it. */
function glob(given: string): string {
  const isFolder = statSync(path.join(ROOT, given), { throwIfNoEntry: false })?.isDirectory() === true;
  return isFolder ? `${given.replace(/\/+$/, '')}/**/*.test.ts` : given;
}

/** Of Debian, for programs that are not there. */
function missingPackages(): readonly string[] {
  return Object.entries(PACKAGES).flatMap(([name, program]) => (onPath(program, process.env.PATH) ? [] : [name]));
}

/** From Debian's packages, where this process may do that. */
function installEtcd(): boolean {
  if (process.getuid?.() !== 0 || !existsSync('/etc/debian_version')) return false;
  const packages = missingPackages();
  console.error(`installing ${packages.join(' and ')}, which some tests need`);
  const apt = (...args: string[]) =>
    spawnSync('apt-get', ['-qq', ...args], {
      stdio: ['ignore', 'ignore', 'inherit'],
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    }).status === 0;
  return (
    apt('update') && apt('install', '-y', '--no-install-recommends', ...packages) && missingPackages().length === 0
  );
}

process.exitCode = main(process.argv.slice(2));
