// The machine that the numbers are from, and which of its cores do what.
import { readFileSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryBytes: number;
  readonly kernel: string;
}

export interface Cores {
  readonly server: number;
  /** Of the generators of load, the origin and the benchmark itself. */
  readonly load: number;
}

export function describeMachine(): Machine {
  const all = cpus();
  return {
    cpu: all[0]?.model.trim() || 'unknown',
    cores: all.length,
    memoryBytes: totalmem(),
    kernel: `Linux ${release()}`,
  };
}

/** Two cores that this process may use, of different physical cores where there are. Throws when there is one alone. */
export function chooseCores(): Cores {
  const status = readFileSync('/proc/self/status', 'utf8');
  const allowed = parseList(/^Cpus_allowed_list:\s*(\S+)$/m.exec(status)?.[1] ?? '');
  const [server, second] = allowed;
  if (server === undefined || second === undefined) {
    throw new Error('two cores are needed, one for the server and one for the load; this process may use one');
  }
  const siblings = parseList(siblingsOf(server));
  return { server, load: allowed.find((core) => !siblings.includes(core) && core !== server) ?? second };
}

function siblingsOf(core: number): string {
  try {
    return readFileSync(`/sys/devices/system/cpu/cpu${core}/topology/thread_siblings_list`, 'utf8').trim();
  } catch {
    return '';
  }
}

/** The kernel's lists of numbers, such as "0-2,5". */
export function parseList(text: string): readonly number[] {
  return text
    .split(',')
    .filter((part) => part !== '')
    .flatMap((part) => {
      const [first = 0, last = first] = part.split('-').map(Number);
      return Array.from({ length: last - first + 1 }, (_, index) => first + index);
    });
}
