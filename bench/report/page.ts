// docs/benchmarks.md: the last result, where it is from, and how to read it. Pure.
import type { Result } from '../result.ts';
import { detailTable, ratioTable, remarks, versions } from './report.ts';

export function page(result: Result, base: string): string {
  const { machine, rounds, seconds, servers, tools, date } = result;
  const baseTitle = servers.find(({ name }) => name === base)?.title ?? base;
  const gib = (machine.memoryBytes / 1024 ** 3).toFixed(0);
  const listed = remarks(result)
    .map((remark) => `- ${remark}\n`)
    .join('');
  return `<!-- Written by "npm run bench -- --write"; do not edit. -->
# Benchmarks

- Measured: ${date.slice(0, 10)}, ${rounds} rounds of ${seconds} s
- Machine: ${machine.cpu}, ${machine.cores} cores, ${gib} GiB, ${machine.kernel}
- Versions: ${versions(servers, tools)}

## Ratios to ${baseTitle}

The median of the rounds, in parentheses the smallest and the largest. More is better, except where the unit says otherwise.

${ratioTable(result, base)}
${listed}
## Numbers

Medians of the rounds.

${detailTable(result)}
## How it is measured

\`npm run bench\` starts each server as a process on one core; the generators of load (\`wrk\`, \`h2load\`), the origin and the
benchmark itself have another, all on 127.0.0.1. In each row the servers take turns, A B C A B C, and a ratio is taken within
one round, so that what slows the machine down slows both down. The configurations are in \`bench/peers\`: one worker, tuned
as each server's guide says; Meridian runs by its defaults, with a larger cache.

- A turn begins when other programs rest, and is repeated when they took more than a tenth of a core from it, as long as there is
  patience (\`--patience\`). What they took of the turns shown is said above, if it is more.
- Before every turn a real request checks status and body byte by byte, and for hits that the origin is not asked. After it,
  errors, time-outs, unexpected statuses and sizes fail the cell, as does one request that reached the origin in a row of hits.
- Rates are those of a closed loop: \`wrk\` keeps 64 connections busy (32 for 1 MiB, 4 for the large body) and \`h2load\` 16 with
  8 requests each, so p50 and p99 are under full load. A faster server has more requests under way in the same time, not
  shorter queues.
- The origin, a small program of this project's, shares its core with the generator of load. For hits it has nothing to do. Where it
  and the generator do more work than the server (new TLS connections, the large body), the rate would be theirs, and what is
  compared is what a server gets done in a second of its own CPU time.
- New TLS connections are full handshakes (no resumption) with an ECDSA P-256 certificate, each with one request and closed after
  it. Each server and its client choose version and cipher.
- CPU time and memory are those of a server's whole tree of processes, from /proc; memory is the proportional set size at the end of
  the turn. For Meridian that includes the process that finds the right Node.js and starts it. Memory that idle connections take in
  the kernel is not included, for any server.
- HAProxy logs to a file as standard output, Varnish by \`varnishncsa\`, whose cost counts as Varnish's; nginx and Meridian write
  batches. nginx keeps its cache in files, in memory where there is a file system for that.
`;
}
