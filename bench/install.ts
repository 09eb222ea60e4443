// The programs that the benchmark runs: whether they are here, which versions, and Debian's packages of those that are not.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { onPath } from '../cli/stack/etcd.ts';

export interface Need {
  readonly program: string;
  readonly package: string;
}

/** Without these nothing can be measured. */
export const TOOLS: readonly Need[] = [
  { program: 'wrk', package: 'wrk' },
  { program: 'h2load', package: 'nghttp2-client' },
  { program: 'openssl', package: 'openssl' },
  { program: 'taskset', package: 'util-linux' },
  { program: 'setpriv', package: 'util-linux' },
];

const INSTALL_MS = 300_000;

/** Programs of `needs` that are not on the PATH, after an attempt to install them where this process may. */
export function missingPrograms(needs: readonly Need[], say: (line: string) => void): readonly string[] {
  const missing = needs.filter(({ program }) => !onPath(program, searchPath()));
  if (missing.length === 0) return [];
  if (process.getuid?.() === 0 && existsSync('/etc/debian_version')) {
    const packages = [...new Set(missing.map((need) => need.package))];
    say(`installing ${packages.join(', ')}`);
    if (apt('update')) apt('install', '-y', '--no-install-recommends', ...packages);
  }
  return missing.filter(({ program }) => !onPath(program, searchPath())).map(({ program }) => program);
}

/** Servers lie in /usr/sbin, which is not on everybody's PATH; it is put there. */
function searchPath(): string {
  const search = process.env.PATH ?? '';
  if (!search.split(':').includes('/usr/sbin')) process.env.PATH = `${search}:/usr/sbin`;
  return process.env.PATH ?? '';
}

function apt(...args: readonly string[]): boolean {
  const result = spawnSync('apt-get', ['-qq', ...args], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    timeout: INSTALL_MS,
  });
  return result.status === 0;
}

/** The version in what `command` prints: 1.2.3, or 1.2 where there is no more. Undefined when there is none. */
export function versionOf(command: readonly string[]): string | undefined {
  const [program = '', ...args] = command;
  const { stdout, stderr } = spawnSync(program, args, { encoding: 'utf8', timeout: 10_000 });
  const text = `${stdout ?? ''}\n${stderr ?? ''}`;
  return /\d+\.\d+\.\d+/.exec(text)?.[0] ?? /\d+\.\d+/.exec(text)?.[0];
}
