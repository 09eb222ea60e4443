// `meridian simulate`: clients of many regions against the edges that run, and what they got, from where, how fast.
import { access, constants, readFile, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { formatVersion } from '../../proto/version.ts';
import { printJson } from '../output/outcomes.ts';
import { stylesFor } from '../output/table.ts';
import { count } from '../output/text.ts';
import { act, leftDrained } from '../simulation/acts.ts';
import { DEMO, localEdges } from '../simulation/demo.ts';
import { loadScenario, plainScenario } from '../simulation/file.ts';
import { checkEdges, placeClients } from '../simulation/prepare.ts';
import { results, resultTable, type Simulation } from '../simulation/report.ts';
import { run } from '../simulation/run.ts';
import { BOUNDS, type EdgeUrl, type Scenario } from '../simulation/scenario.ts';
import { Sender } from '../simulation/sender.ts';
import { layOut, PORT_BASE } from '../stack/layout.ts';
import { describeProblems } from './apply.ts';
import { type Admin, CLIENT_OPTIONS, withAdmin } from './client.ts';
import { type Arguments, type Command, EXIT, Failure, type Io, UsageError } from './command.ts';
import { listenForInterrupt } from './interrupt.ts';
import { countOption, durationOption, given, noMore, portBaseOption } from './values.ts';

export const command: Command = {
  name: 'simulate',
  summary: 'Ask the edges as clients of many regions would, and show who answered whom',
  usage: ['simulate [-f SCENARIO]'],
  description: [
    'Each client asks the edge nearest to it, as DNS by geography would have it, and says who it is by X-Forwarded-For. Without a ' +
      `scenario: ${count(DEMO.clients.length, 'city', 'cities')} on all continents against the local stack of "meridian up" or ` +
      'docker-compose.yml. docs/simulate.md describes scenarios; docs/examples/simulation.yaml is this one.',
    'ORIGIN is who answered what the cache could not, the most frequent first, in brackets the one that would where none was ' +
      'asked; KM how far it is from the client; HITS the share that the cache answered. It ends by itself; Ctrl-C ends it early.',
    'Edges believe X-Forwarded-For from their trustedProxies alone. One that does not believe it is told apart by whom it asks, ' +
      'and then nothing is simulated.',
    'Exit code 1: nothing could be simulated, all requests failed, or one of the events of the scenario did.',
    'With --json: what the file of results holds, {"scenario", "startedAt", "version", "elapsedMs", "interrupted", "warnings", ' +
      '"total", "firstFailure", "clients":[...], "events":[...], "seconds":[...]}.',
  ],
  options: {
    file: { type: 'string', short: 'f', value: 'SCENARIO', doc: 'A scenario; - reads standard input.' },
    out: {
      type: 'string',
      value: 'FILE',
      default: 'meridian-simulation.json',
      doc: 'Where the results are written, by city and by second; one that is there is replaced. "none": nowhere.',
    },
    edge: { type: 'string', value: 'NAME', doc: 'Every client asks this edge.' },
    seed: { type: 'string', value: 'NUMBER', doc: 'In place of that of the scenario. Same seed, same requests.' },
    duration: {
      type: 'string',
      value: 'DURATION',
      doc: 'In place of that of the scenario; its later events do not happen.',
    },
    'port-base': {
      type: 'string',
      value: 'PORT',
      doc: 'Where the edges are, if "up" was started with it. Not for a scenario that names edges.',
    },
    'debug-token-file': {
      type: 'string',
      value: 'FILE',
      env: 'MERIDIAN_DEBUG_TOKEN_FILE',
      doc: 'File of the secret that the edges were started with: they say then themselves whom they asked.',
    },
    ...CLIENT_OPTIONS,
  },
  examples: [
    { line: 'meridian simulate', doc: 'The local stack, for ten seconds.' },
    { line: 'meridian simulate --edge edge-singapore --duration 3s', doc: 'What if everyone asked Singapore?' },
    { line: 'meridian simulate -f docs/examples/simulation.yaml --out after.json', doc: 'To compare with before.' },
  ],

  async run(args, io) {
    noMore(args.positionals);
    const base = portBaseOption(args, 'port-base', PORT_BASE);
    const overrides = overridesOf(args);
    const out = given(args, 'out');
    const loaded = await scenarioOf(args, io);
    if (loaded.kind === 'problems') {
      io.stderr.write(describeProblems(loaded, 'nothing was simulated'));
      return EXIT.failed;
    }
    const pin = args.text('edge');
    const clients = loaded.scenario.clients.map((client) => (pin === undefined ? client : { ...client, edge: pin }));
    const edges = loaded.scenario.edges ?? localEdges(layOut(base));
    const scenario: Scenario = { ...loaded.scenario, ...overrides, clients, edges };
    const fields = await debugFields(args, edges);
    if (out !== 'none') await checkFolder(out);
    return withAdmin(args, io, (admin) => simulate(admin, scenario, edges, fields, out, args.flag('json'), io));
  },
};

async function simulate(
  admin: Admin,
  scenario: Scenario,
  edges: readonly EdgeUrl[],
  fields: Readonly<Record<string, string>>,
  out: string,
  json: boolean,
  io: Io,
): Promise<number> {
  const { version } = await admin.status();
  const { placements, warnings } = await placeClients(admin, scenario, edges);
  const { host, connections, timeoutMs } = scenario;
  const senders = placements.map(
    ({ edge }) => new Sender({ clock: io.clock, url: edge.url, host, connections, timeoutMs, fields }),
  );
  const say = (line: string): unknown => io.stderr.write(`${line}\n`);
  try {
    const all = [...warnings, ...(await checkEdges(admin, scenario, placements, senders))];
    for (const warning of all) say(warning);
    const asked = new Set(placements.map(({ edge }) => edge.name)).size;
    say(
      `${scenario.name}: ${count(placements.length, 'client')}, ${count(asked, 'edge')}, ${scenario.durationMs / 1000} s, seed ${scenario.seed}`,
    );
    const startedAt = io.clock.now();
    const interrupt = listenForInterrupt(io);
    const ran = await run(scenario, {
      clock: io.clock,
      send: (client, target, address) =>
        senders[client]?.send(target, address) ?? Promise.reject(new Error('no sender')),
      act: (event) => act(admin, event),
      happened: ({ atMs, what, result, done }) =>
        say(`after ${atMs / 1000} s: ${what}: ${done ? result : `failed: ${result}`}`),
      interrupted: interrupt.asked,
    }).finally(() => interrupt.close());
    const found = {
      scenario: plainScenario(scenario),
      placements,
      ran,
      startedAt,
      version: formatVersion(version),
      warnings: all,
    };
    return await report(found, out, json, io);
  } finally {
    for (const sender of senders) sender.close();
  }
}

async function report(found: Simulation, out: string, json: boolean, io: Io): Promise<number> {
  const { statistics, events } = found.ran;
  const plain = results(found);
  if (json) printJson(io, plain);
  else io.stdout.write(resultTable(found, stylesFor(io)));
  for (const origin of leftDrained(events)) {
    io.stderr.write(`${origin} is still drained: "meridian undrain ${origin}" gives it back\n`);
  }
  if (out !== 'none') {
    await write(out, `${JSON.stringify(plain, null, 2)}\n`);
    io.stderr.write(`the results are in ${out}\n`);
  }
  const allFailed = statistics.total.answered === 0 && statistics.total.failed > 0;
  if (allFailed) io.stderr.write('all requests failed\n');
  return allFailed || events.some(({ done }) => !done) ? EXIT.failed : EXIT.done;
}

async function scenarioOf(args: Arguments, io: Io): ReturnType<typeof loadScenario> {
  const file = args.text('file');
  if (file === undefined) return { kind: 'loaded', scenario: DEMO };
  const loaded = await loadScenario(file, io.stdin);
  if (loaded.kind === 'loaded' && loaded.scenario.edges && args.text('port-base') !== undefined) {
    throw new UsageError('--port-base is for the edges of a local stack; the scenario names its own');
  }
  return loaded;
}

function overridesOf(args: Arguments): Partial<Scenario> {
  return {
    ...(args.text('seed') !== undefined && { seed: countOption(args, 'seed', BOUNDS.seed) }),
    ...(args.text('duration') !== undefined && { durationMs: durationOption(args, 'duration', BOUNDS.duration) }),
  };
}

/** The secret goes only where nobody else can read it. */
async function debugFields(args: Arguments, edges: readonly EdgeUrl[]): Promise<Readonly<Record<string, string>>> {
  const file = args.text('debug-token-file');
  if (file === undefined) return {};
  const label = args.label('debug-token-file');
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new Failure(`${label}: ${file} cannot be read (${error.code})`, { cause: error });
  });
  const token = text.trim();
  if (!/^[\x21-\x7e]{1,256}$/.test(token)) throw new Failure(`${label}: ${file} holds no secret: expected one line`);
  const open = edges.find(({ url }) => !/^https:|^http:\/\/(?:127\.|localhost[:]|\[::1\])/.test(url));
  if (open)
    throw new Failure(`${label}: others could read the secret on the way to ${open.name} at ${open.url}; use https`);
  return { 'meridian-debug': token };
}

async function checkFolder(out: string): Promise<void> {
  await access(path.dirname(out), constants.W_OK).catch((error: NodeJS.ErrnoException) => {
    throw new Failure(`--out: ${out} cannot be written (${error.code}); name another FILE, or none`, { cause: error });
  });
}

async function write(out: string, text: string): Promise<void> {
  const next = `${out}.${process.pid}.new`;
  try {
    await writeFile(next, text);
    await rename(next, out);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new Failure(`--out: the results cannot be written: ${reason}`, { cause: error });
  }
}
