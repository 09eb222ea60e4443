// docs/simulate.md and the example of a scenario, from the schema and from the scenario that runs when none is given.
import { stringify } from 'yaml';
import { fieldTables } from '../config/reference.ts';
import { layOut } from '../stack/layout.ts';
import { DEMO, localEdges } from './demo.ts';
import { scenario } from './scenario.ts';

/** docs/examples/simulation.yaml: what `meridian simulate` does without a scenario. */
export function scenarioExample(): string {
  const written = stringify(scenario.write({ ...DEMO, edges: localEdges(layOut()) }), { lineWidth: 0 });
  return `# Generated from cli/simulation/demo.ts by "npm run generate". What "meridian simulate" does without a scenario; copy it to
# begin one of your own. Each address is where DB-IP's city data places the city.
${written}`;
}

/** As docs/simulate.md shows it; a test reads it. */
export const STEERING = `name: what steering does
duration: 12s
clients:
  London: { addresses: [81.2.69.142], rate: 10 }
  Lagos: { addresses: [41.203.64.1], rate: 10 }
paths: { list: [/, /news, /private] }
events:
  - { at: 3s, drain: cities/london }
  - { at: 6s, purge: all }
  - { at: 9s, undrain: cities/london }
`;

/** docs/simulate.md. */
export function simulationReference(): string {
  return `<!-- Generated from cli/simulation/*.ts by "npm run generate"; do not edit. -->
# Simulating clients

\`meridian simulate\` asks the edges that run as clients of many regions would, and shows for each city which edge and which
origin answered, how far that origin is away, what the cache answered, and how long it took. Without a scenario it asks the
local stack as [the example](examples/simulation.yaml) says. A scenario is a YAML file:

\`\`\`yaml
${STEERING.trimEnd()}
\`\`\`

- **Who asks whom.** The edges are asked (as \`meridian explain\` does) where each client is. It asks the nearest edge that is
  connected, over connections of its own, and says who it is by X-Forwarded-For. An edge must believe that
  (\`trustedProxies\`): before it begins, each client asks for one thing past the cache, and an edge that sends everyone where
  it would send itself ends the simulation with a sentence that says so.
- **Which origin answered** is what the answer's \`originField\` says, for answers that came from an origin at this request; what
  the cache answers came from whichever was asked before. Origins that do not name themselves: start the edges with
  \`--debug-token-file\`, and give it to \`simulate\` too.
- **Which requests.** The same seed gives the same sequence: when, from which address, for which path. They are sent when they
  fall due, whether or not those before are answered; one for which its client has no connection left is not sent, and counted.
- **The file of results** (\`--out\`, JSON) has the scenario, the seed, the totals, each client and each second (by client too), so
  that runs can be compared and the effect of an event be seen:

\`\`\`
jq -r '.seconds[] | [.second, .hitRatio, (.clients.London.origins | keys | join(" "))] | @tsv' meridian-simulation.json
\`\`\`

It takes nothing out of use that the scenario does not name; if it ends before an \`undrain\`, it says what is still drained. What is
wrong in a scenario is named by file, line and column, and nothing is asked.

${fieldTables(scenario)}`;
}
