// What processes take, from /proc (proc(5)): CPU time and memory of a process with all that it started, and of a core.
import { readdirSync, readFileSync } from 'node:fs';

/** Clock ticks in a second: USER_HZ, 100 on every Linux that Node.js runs on. */
const TICKS = 100;

export interface ProcessStat {
  readonly parent: number;
  /** User and system time, its own and that of children that have ended, seconds. */
  readonly cpu: number;
}

/** Of /proc/PID/stat. The second field, the program's name in parentheses, may itself hold spaces and parentheses. */
export function parseStat(text: string): ProcessStat {
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const ticks = fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0);
  return { parent: Number(fields[1]), cpu: ticks / TICKS };
}

/** Bytes by name, of /proc/PID/smaps_rollup or /proc/PID/status. */
export function parseSizes(text: string): ReadonlyMap<string, number> {
  const lines = text.matchAll(/^(\w+):\s+(\d+) kB$/gm);
  return new Map([...lines].map(([, name = '', kilobytes]) => [name, Number(kilobytes) * 1024]));
}

export interface CoreTimes {
  /** Seconds in processes, without the kernel's own interrupts. */
  readonly processes: number;
  /** Seconds in which the hypervisor ran something else. */
  readonly stolen: number;
}

/** Of /proc/stat, for core number `core`. */
export function parseCore(text: string, core: number): CoreTimes {
  const line = new RegExp(`^cpu${core} (.*)$`, 'm').exec(text)?.[1] ?? '';
  const [user = 0, nice = 0, system = 0, , , , , steal = 0] = line.split(' ').map((ticks) => Number(ticks) / TICKS);
  return { processes: user + nice + system, stolen: steal };
}

/** CPU time on `cores` that was not the benchmark's: this process's with all that it started. Seconds since some moment. */
export function othersSeconds(cores: readonly number[]): number {
  const all = cores.map(coreTimes).reduce((sum, { processes, stolen }) => sum + processes + stolen, 0);
  return all - cpuSeconds([process.pid]);
}

export interface Memory {
  /** Proportional set size: what is shared counts once. */
  readonly pssBytes: number;
  readonly rssBytes: number;
}

export function coreTimes(core: number): CoreTimes {
  return parseCore(readFileSync('/proc/stat', 'utf8'), core);
}

/** CPU time of the processes `roots` with all their descendants, seconds. One that is gone does not count. */
export function cpuSeconds(roots: readonly number[]): number {
  const stats = allStats();
  return [...withDescendants(roots, stats)].reduce((sum, pid) => sum + (stats.get(pid)?.cpu ?? 0), 0);
}

/** As {@link cpuSeconds}. */
export function memory(roots: readonly number[]): Memory {
  let pssBytes = 0;
  let rssBytes = 0;
  for (const pid of withDescendants(roots, allStats())) {
    pssBytes += parseSizes(read(`/proc/${pid}/smaps_rollup`)).get('Pss') ?? 0;
    rssBytes += parseSizes(read(`/proc/${pid}/status`)).get('VmRSS') ?? 0;
  }
  return { pssBytes, rssBytes };
}

function allStats(): ReadonlyMap<number, ProcessStat> {
  const stats = new Map<number, ProcessStat>();
  for (const name of readdirSync('/proc')) {
    const text = /^\d+$/.test(name) ? read(`/proc/${name}/stat`) : '';
    if (text !== '') stats.set(Number(name), parseStat(text));
  }
  return stats;
}

export function withDescendants(
  roots: readonly number[],
  stats: ReadonlyMap<number, Pick<ProcessStat, 'parent'>>,
): ReadonlySet<number> {
  const found = new Set(roots.filter((root) => stats.has(root)));
  for (let before = -1; before !== found.size; ) {
    before = found.size;
    for (const [pid, { parent }] of stats) if (found.has(parent)) found.add(pid);
  }
  return found;
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
