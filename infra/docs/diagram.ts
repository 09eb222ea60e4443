// The picture of a request in ARCHITECTURE.md, drawn from the table that the edge runs.
import { type Step, TABLE } from '../../edge-node/pipeline/table.ts';

/** A Mermaid flow chart and a list of what each step does. */
export function stepDiagram(): string {
  const steps = Object.keys(TABLE) as Step[];
  const arrows = steps.flatMap((step) => TABLE[step].next.map((next) => `  ${step} --> ${next}`));
  const waiting = steps.filter((step) => 'waits' in TABLE[step]);
  const rows = steps.map((step) => `| \`${step}\` | ${TABLE[step].does} | ${TABLE[step].next.join(', ')} |`);
  return [
    '```mermaid',
    'flowchart TD',
    ...arrows,
    ...waiting.map((step) => `  ${step}[/"${step} (waits for the origin)"/]`),
    '```',
    '',
    '| step | what it does | may be followed by |',
    '| --- | --- | --- |',
    ...rows,
  ].join('\n');
}

const PLACE = /(<!-- steps: [^\n]*-->\n)[\s\S]*?(<!-- \/steps -->)/;

/** `page` with the diagram between its two markers. Throws an Error when it has none. */
export function withStepDiagram(page: string): string {
  if (!PLACE.test(page)) throw new Error('ARCHITECTURE.md has lost the markers between which the steps are drawn');
  return page.replace(PLACE, (_all, begin: string, end: string) => `${begin}\n${stepDiagram()}\n\n${end}`);
}
