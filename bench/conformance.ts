// `npm run conformance`: the tests of cache-tests.fyi against Meridian and other caches. Fails when Meridian passes others than
// docs/conformance.md says.
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { makeCertificate } from './certificate.ts';
import { DEVIATIONS } from './conformance/deviations.ts';
import { score } from './conformance/outcome.ts';
import { page, type Scored, scoreTable, surprises } from './conformance/page.ts';
import { fetchSuite, runSuite, SUITE, SUITE_VERSION } from './conformance/suite.ts';
import { missingPrograms, type Need, TOOLS, versionOf } from './install.ts';
import { nextNumber, startInstance } from './instance.ts';
import { chooseCores } from './machine.ts';
import { PEERS } from './peers/index.ts';
import { meridian } from './peers/meridian.ts';
import type { Peer } from './peers/peer.ts';
import type { Processes } from './processes.ts';
import { withinDirectory } from './within-directory.ts';

const HELP = `The tests of cache-tests.fyi against Meridian, and against the other caches that are compared with it.

  npm run conformance -- [OPTIONS]

  --all      the other caches too
  --write    with all of them, write docs/conformance.md
  --json     print what Meridian fails, with the tests' own words, as JSON
`;
const PAGE = new URL('../docs/conformance.md', import.meta.url);
const ORIGIN = fileURLToPath(new URL('conformance/origin.ts', import.meta.url));
const SUPERSEDED = new Set(DEVIATIONS.flatMap(({ tests, superseded }) => (superseded ? tests : [])));
const NEEDED = ['openssl', 'taskset', 'setpriv'];

const say = (line: string): void => console.error(line);

async function main(argv: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      all: { type: 'boolean' },
      write: { type: 'boolean' },
      json: { type: 'boolean' },
      help: { type: 'boolean', short: 'h' },
    },
  });
  if (values.help) {
    console.log(HELP);
    return 0;
  }
  const caches = PEERS.filter(({ cannotCache, variant }) => cannotCache === undefined && !variant);
  const peers = values.all || values.write ? caches : [meridian];
  const servers = await withinDirectory((directory, processes) => scoreAll(peers, directory, processes));
  console.log(scoreTable(servers));
  const own = servers.find(({ title }) => title === meridian.title);
  if (own === undefined) throw new Error('Meridian has not been tested');
  if (values.json) console.log(JSON.stringify(Object.fromEntries(own.score.missed), undefined, 2));
  if (values.write) {
    writeFileSync(PAGE, page(servers, DEVIATIONS, `${SUITE} ${SUITE_VERSION}`, new Date().toISOString().slice(0, 10)));
  }
  const unexpected = surprises(own.score, DEVIATIONS);
  for (const line of unexpected) say(line);
  return unexpected.length === 0 ? 0 : 1;
}

async function scoreAll(peers: readonly Peer[], directory: string, processes: Processes): Promise<readonly Scored[]> {
  const absent = missingPrograms(
    [...TOOLS.filter(({ program }) => NEEDED.includes(program)), ...peers.flatMap(needOf)],
    say,
  );
  if (absent.length > 0) throw new Error(`missing: ${absent.join(', ')}; install the packages that bring them`);
  const suite = await fetchSuite(path.join(directory, 'suite'), processes);
  const certificate = makeCertificate(path.join(directory, 'certificates'));
  const cores = chooseCores();
  const scored: Scored[] = [];
  for (const peer of peers) {
    const { child, tail, stop } = processes.start(
      'origin',
      { args: [process.execPath, ORIGIN, suite.directory] },
      undefined,
      true,
    );
    const origin = { port: await nextNumber(child, 'port', tail), requests: async () => 0 };
    const instance = await startInstance(peer, false, { processes, cores, directory, certificate, origin });
    const outcomes = await runSuite(suite, instance.httpPort, processes);
    scored.push({
      title: peer.title,
      version: versionOf(peer.version) ?? '',
      score: score(suite.tests, outcomes, SUPERSEDED),
    });
    await instance.stop();
    await stop();
  }
  return scored;
}

function needOf({ program, package: from }: Peer): readonly Need[] {
  return program === undefined || from === undefined ? [] : [{ program, package: from }];
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  say(`conformance: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}
