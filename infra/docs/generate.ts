// Writes the pages that are made from the code: `npm run generate`. test/rules/docs.test.ts fails while one is out of date.
import { readFile, writeFile } from 'node:fs/promises';
import { limitReference } from '../../cli/commands/limits.ts';
import { loadAll } from '../../cli/commands/registry.ts';
import { configurationReference } from '../../cli/config/reference.ts';
import { commandReference } from '../../cli/output/help.ts';
import { scenarioExample, simulationReference } from '../../cli/simulation/reference.ts';
import { LIMITS } from '../../edge-node/io/limits.ts';
import { withStepDiagram } from './diagram.ts';

/** From the project's root. */
export const ROOT = new URL('../../', import.meta.url);

/** The pages by their path from the root. */
export async function generatedPages(): Promise<ReadonlyMap<string, string>> {
  const architecture = await readFile(new URL('ARCHITECTURE.md', ROOT), 'utf8');
  const example = await readFile(new URL('docs/examples/cities.yaml', ROOT), 'utf8');
  return new Map([
    ['ARCHITECTURE.md', withStepDiagram(architecture)],
    ['docs/configuration.md', configurationReference(example)],
    ['docs/cli.md', commandReference(await loadAll())],
    ['docs/limits.md', limitReference(LIMITS)],
    ['docs/simulate.md', simulationReference()],
    ['docs/examples/simulation.yaml', scenarioExample()],
  ]);
}

if (import.meta.main) {
  for (const [file, text] of await generatedPages()) await writeFile(new URL(file, ROOT), text);
}
