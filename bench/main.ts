// `npm run bench`: compares Meridian with other servers, see options.ts for what can be asked and docs/benchmarks.md for how.
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { makeCertificate } from './certificate.ts';
import { missingPrograms, TOOLS, versionOf } from './install.ts';
import { type Surroundings, startOrigin } from './instance.ts';
import { chooseCores, describeMachine } from './machine.ts';
import { HELP, type Options, parseOptions, UsageError } from './options.ts';
import { DISTURBED, Patience } from './patience.ts';
import { BASE, PEERS } from './peers/index.ts';
import type { Peer } from './peers/peer.ts';
import type { Processes } from './processes.ts';
import { page } from './report/page.ts';
import { checkTable, detailTable, ratioTable, remarks, versions } from './report/report.ts';
import { digits } from './report/table.ts';
import { hasFailed, type Result } from './result.ts';
import { allRows } from './rows.ts';
import { type Progress, runAll } from './runner.ts';
import { othersSeconds } from './usage.ts';
import { withinDirectory } from './within-directory.ts';

const PAGE = new URL('../docs/benchmarks.md', import.meta.url);
/** Over which it is seen whether other programs run, milliseconds. */
const LOOK_MS = 250;

const say = (line: string): void => console.error(line);

async function main(argv: readonly string[]): Promise<number> {
  const known = { rows: allRows(false).map(({ id }) => id), servers: PEERS.map(({ name }) => name) };
  const options = parseOptions(argv, known);
  if (options === undefined) {
    console.log(`${HELP}\nRows: ${known.rows.join(', ')}\nServers: ${known.servers.join(', ')}`);
    return 0;
  }
  if (process.platform !== 'linux')
    throw new UsageError('the benchmark runs on Linux only: it pins processes to cores');
  const result = await withinDirectory((directory, processes) => measureAll(options, directory, processes));
  if (options.json) console.log(JSON.stringify(result, undefined, 2));
  else if (options.smoke) console.log(`\n${checkTable(result)}`);
  else console.log(`\n${ratioTable(result, BASE)}\n${detailTable(result, BASE)}`);
  for (const remark of remarks(result)) say(remark);
  say(`${result.machine.cpu}, ${result.machine.cores} cores; ${versions(result.servers, result.tools)}`);
  if (options.write) writeFileSync(PAGE, page(result, BASE));
  return hasFailed(result) ? 1 : 0;
}

async function measureAll(options: Options, directory: string, processes: Processes): Promise<Result> {
  const { rounds, seconds, warmUp } = options;
  const absent = missingPrograms(TOOLS, say);
  if (absent.length > 0) throw new UsageError(`missing: ${absent.join(', ')}; install the packages that bring them`);
  const peers = PEERS.filter(({ name, variant }) => options.servers?.includes(name) ?? !(options.smoke && variant));
  const rows = allRows(options.smoke).filter(({ id }) => options.rows?.includes(id) ?? true);
  const missing = missingPeers(peers);
  const cores = chooseCores();
  // This process too: what it does meanwhile is not to take from the server's core.
  await processes.run({ args: ['taskset', '-a', '-p', '-c', String(cores.load), String(process.pid)] }, undefined, {
    limitMs: 5_000,
  });
  const around: Surroundings = {
    processes,
    cores,
    directory,
    certificate: makeCertificate(path.join(directory, 'certificates')),
    origin: await startOrigin(processes, cores.load),
  };
  const patience = new Patience({
    budgetMs: options.patience * 1_000,
    others: () => othersOver(LOOK_MS, [cores.server, cores.load]),
    monotonic: () => performance.now(),
  });
  const results = await runAll({ rows, peers, missing, rounds, seconds, warmUp, patience }, around, progress);
  return {
    date: new Date().toISOString(),
    machine: describeMachine(),
    rounds,
    seconds,
    servers: peers.map((peer) => {
      const { name, title } = peer;
      return { name, title, version: missing.has(peer) ? undefined : versionOf(peer.version) };
    }),
    tools: {
      'Node.js': process.versions.node,
      wrk: versionOf(['wrk', '-v']) ?? 'unknown',
      h2load: versionOf(['h2load', '--version']) ?? 'unknown',
    },
    rows: results,
  };
}

function missingPeers(peers: readonly Peer[]): ReadonlyMap<Peer, string> {
  const needs = peers.flatMap(({ program, package: from }) =>
    program === undefined || from === undefined ? [] : [{ program, package: from }],
  );
  const absent = missingPrograms(needs, say);
  const lacking = peers.filter(({ program }) => program !== undefined && absent.includes(program));
  return new Map(lacking.map((peer) => [peer, `is not installed (package ${peer.package})`]));
}

/** In cores. */
async function othersOver(ms: number, cores: readonly number[]): Promise<number> {
  const started = performance.now();
  const before = othersSeconds(cores);
  await wait(ms);
  return (othersSeconds(cores) - before) / ((performance.now() - started) / 1_000);
}

const progress: Progress = (row, peer, round, outcome) => {
  const found = outcome instanceof Error ? firstLine(outcome.message) : `${digits(outcome.value)} ${row.unit}`;
  const others = outcome instanceof Error ? 0 : (outcome.disturbed ?? 0);
  const remark = others < DISTURBED ? '' : ` (others used ${others.toFixed(1)} cores)`;
  say(`${row.id.padEnd(12)} ${peer.name.padEnd(10)} round ${round}: ${found}${remark}`);
};

const firstLine = (text: string): string => text.split('\n', 1)[0] ?? '';

let code = 1;
try {
  code = await main(process.argv.slice(2));
} catch (error) {
  say(`bench: ${error instanceof Error ? error.message : String(error)}`);
  if (error instanceof UsageError) code = 2;
}
// What a signal interrupted is not waited for; all that was printed is to get out first.
process.stdout.write('', () => process.exit(code));
