// Files of scenarios -> scenarios, or what is wrong with them by file, line and column; and scenarios as plain values.
import { readDocuments, readTexts, wholeFile } from '../config/documents.ts';
import { type FileProblem, Problems } from '../config/place.ts';
import { plain } from '../config/print.ts';
import { type Scenario, scenario } from './scenario.ts';

export type LoadedScenario =
  | { readonly kind: 'loaded'; readonly scenario: Scenario }
  | { readonly kind: 'problems'; readonly problems: readonly FileProblem[]; readonly omitted: number };

/** `-` is standard input. Never throws for what is in it, nor for one that cannot be read. */
export async function loadScenario(file: string, stdin: () => Promise<Uint8Array>): Promise<LoadedScenario> {
  const problems = new Problems();
  const read = (await readTexts([file], problems, stdin)).flatMap((text) =>
    readDocuments(text, scenario, 'a mapping with clients', problems),
  );
  const [first, second] = read;
  if (second) problems.add(wholeFile(second.source.file, 'holds more than one document; a scenario is one'));
  if (problems.list.length === 0 && first) return { kind: 'loaded', scenario: first.value };
  return { kind: 'problems', problems: problems.list, omitted: problems.omitted };
}

/** As its file has it, every field. */
export function plainScenario(value: Scenario): object {
  return plain(scenario.write(value)) as object;
}
