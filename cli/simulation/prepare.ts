// Before a simulation: asks the edges where each client is and who would answer it, and sees by one request of each client
// whether an edge can be reached and believes who it is. What would make the results wrong ends it here.
import type { Explanation } from '../../proto/gen/meridian/v1/explain.ts';
import type { Admin } from '../commands/client.ts';
import { Failure } from '../commands/command.ts';
import { clip, printable } from '../output/text.ts';
import { readAnswer } from './answer.ts';
import { type Belief, type Checked, judge, type Placement, place } from './placing.ts';
import type { EdgeUrl, Scenario } from './scenario.ts';
import { pathsOf } from './schedule.ts';
import type { Sender } from './sender.ts';

/** Lines of one kind that are printed; the rest is counted. */
const MAX_LINES = 10;
/** Requests that an edge leaves without an answer before no more are waited for. */
const MAX_FAILURES = 3;
/** What no database has: everyone there is taken to be where the edge is. */
const NOWHERE = '127.0.0.1';
/** Such an answer comes from an origin, and leaves nothing in the cache. */
const UNCACHED = { 'cache-control': 'no-cache, no-store' };

export interface Prepared {
  /** By the scenario's clients. */
  readonly placements: readonly Placement[];
  readonly warnings: readonly string[];
}

/** Throws Failure when a client has no edge, or would be refused. */
export async function placeClients(admin: Admin, scenario: Scenario, edges: readonly EdgeUrl[]): Promise<Prepared> {
  const url = firstUrl(scenario);
  const placements: Placement[] = [];
  const impossible: string[] = [];
  for (const client of scenario.clients) {
    const explained = await Promise.all(client.addresses.map((ip) => explainAt(admin, url, ip, '')));
    const placing = place(client, explained, edges);
    if (placing.kind === 'placed') placements.push(placing.placement);
    else impossible.push(placing.reason);
  }
  if (impossible.length > 0) throw new Failure(lines(impossible).join('\n'));
  return { placements, warnings: lines(placements.flatMap(({ doubts }) => doubts)) };
}

/**
 * One request of each client, past the cache. Gives warnings; throws Failure when no edge can be reached, or one does not
 * believe who the clients are. `senders`: by the scenario's clients.
 */
export async function checkEdges(
  admin: Admin,
  scenario: Scenario,
  placements: readonly Placement[],
  senders: readonly Sender[],
): Promise<string[]> {
  const byEdge = Map.groupBy(placements.entries(), ([, { edge }]) => edge.name);
  const checks = await Promise.all([...byEdge.values()].map((clients) => checkEdge(admin, scenario, clients, senders)));
  const unreachable = checks.filter(({ reached }) => !reached).map(({ edge, reason }) => away(edge, reason));
  if (unreachable.length === checks.length) {
    throw new Failure(
      `no edge can be reached: ${lines(unreachable).join('; ')}. "meridian up" starts a local stack; "edges" of a scenario, ` +
        'or --port-base, says where others are',
    );
  }
  const elsewhere = checks.flatMap(({ edge, belief }) =>
    belief.kind === 'elsewhere' ? [`${edge.name}: ${belief.evidence}`] : [],
  );
  if (elsewhere.length > 0)
    throw new Failure(`${lines(elsewhere).join('\n')}\nMend "edges" of the scenario, or --port-base`);
  const disbelief = checks.flatMap(({ edge, belief }) =>
    belief.kind === 'refused' ? [`${edge.name} does not believe X-Forwarded-For: ${belief.evidence}`] : [],
  );
  if (disbelief.length > 0) {
    throw new Failure(
      `${lines(disbelief).join('\n')}\nSo where clients are would make no difference. Add the address that this machine's ` +
        'requests reach the edge from (127.0.0.0/8 on the same machine) to "trustedProxies" of the edge, and apply that. Should ' +
        'an origin have failed just now, wait until "meridian origins" shows it',
    );
  }
  return warningsOf(checks, unreachable, scenario);
}

interface EdgeCheck {
  readonly edge: EdgeUrl;
  readonly reached: boolean;
  /** Why the last request failed. */
  readonly reason: string;
  readonly belief: Belief;
}

async function checkEdge(
  admin: Admin,
  scenario: Scenario,
  clients: readonly (readonly [number, Placement])[],
  senders: readonly Sender[],
): Promise<EdgeCheck> {
  const [path = '/'] = pathsOf(scenario.paths);
  const edge = clients[0]?.[1].edge ?? { name: '', url: '' };
  const checked: Checked[] = [];
  let reached = false;
  let reason = '';
  let failures = 0;
  // One after the other: those at the same moment would share their way to the origin.
  for (const [index, placement] of clients) {
    try {
      const answer = await senders[index]?.send(path, placement.client.addresses[0] ?? '', UNCACHED);
      reached = true;
      if (answer) checked.push({ placement, reading: readAnswer(answer, scenario.originField.toLowerCase()) });
    } catch (error) {
      reason = error instanceof Error ? error.message : String(error);
      failures += 1;
      if (!reached || failures === MAX_FAILURES) break;
    }
  }
  const [own] = reached ? await explainAt(admin, firstUrl(scenario), NOWHERE, edge.name) : [];
  const belief = judge(checked, own?.ranking.find(({ chosen }) => chosen)?.origin);
  return { edge, reached, reason, belief };
}

function warningsOf(checks: readonly EdgeCheck[], unreachable: readonly string[], scenario: Scenario): string[] {
  const surprised = checks.flatMap(({ edge, belief }) =>
    belief.kind === 'surprised'
      ? [`${edge.name}: ${belief.evidence}; its health or the configuration may just have changed`]
      : [],
  );
  const silent = checks
    .filter(({ reached, belief }) => reached && belief.kind === 'unknown')
    .map(({ edge }) => edge.name);
  const unknown =
    silent.length === 0
      ? []
      : [
          `${clip(silent.join(', '), 500)}: answers do not say which origin they are from (${scenario.originField}), so whether ` +
            'X-Forwarded-For is believed is not known, and ORIGIN is what the edge said before; --debug-token-file makes edges tell',
        ];
  return [
    ...lines(unreachable.map((line) => `${line}; its clients' requests will fail`)),
    ...lines(surprised),
    ...unknown,
  ];
}

function away({ name, url }: EdgeUrl, reason: string): string {
  return `${printable(name)} at ${printable(url)}: ${clip(reason)}`;
}

function firstUrl({ host, paths }: Scenario): string {
  return `http://${host}${pathsOf(paths)[0] ?? '/'}`;
}

async function explainAt(admin: Admin, url: string, ip: string, edge: string): Promise<readonly Explanation[]> {
  return (await admin.explain({ url, ip, edge })).explanations;
}

function lines(all: readonly string[]): string[] {
  return all.length > MAX_LINES ? [...all.slice(0, MAX_LINES), `and ${all.length - MAX_LINES} more`] : [...all];
}
