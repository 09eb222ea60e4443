// docs/conformance.md: how many of the tests each server passes, and what Meridian does otherwise, and why. Pure.
import { markdownTable } from '../report/table.ts';
import type { Deviation } from './deviations.ts';
import type { Score, Share } from './outcome.ts';

export interface Scored {
  readonly title: string;
  readonly version: string;
  readonly score: Score;
}

export function scoreTable(servers: readonly Scored[]): string {
  const share = ({ passed, all }: Share): string => `${passed} of ${all} (${Math.floor((passed / all) * 100)} %)`;
  return markdownTable(
    [
      { title: 'Server' },
      { title: 'Required', align: 'right' },
      { title: 'Without those superseded', align: 'right' },
      { title: 'Optimal', align: 'right' },
    ],
    servers.map(({ title, version, score }) => [
      `${title} ${version}`,
      ...[score.required, score.current, score.optimal].map(share),
    ]),
  );
}

/** Tests that are missed and not among the deviations, and the other way round; a line for each. */
export function surprises({ missed }: Score, deviations: readonly Deviation[]): readonly string[] {
  const known = new Set(deviations.flatMap(({ tests }) => tests));
  const failed = [...missed].filter(([id]) => !known.has(id)).map(([id, why]) => `${id} fails: ${why}`);
  return [
    ...failed,
    ...[...known].filter((id) => !missed.has(id)).map((id) => `${id} passes, but is listed as failing`),
  ];
}

export function page(
  servers: readonly Scored[],
  deviations: readonly Deviation[],
  suite: string,
  date: string,
): string {
  const listed = deviations.map(({ tests, reason, superseded }) => {
    const names = tests.map((id) => `\`${id}\``).join(', ');
    return `- ${superseded ? '(superseded) ' : ''}${names}: ${reason}\n`;
  });
  return `<!-- Written by "npm run conformance -- --write"; do not edit. -->
# Conformance of the cache

The tests of [cache-tests.fyi](https://cache-tests.fyi), which are not ours, run against Meridian and the caches that it is compared
with elsewhere: each server by the configuration in \`bench/peers\`, all within minutes of each other.

- Measured: ${date}
- Tests: ${suite}

${scoreTable(servers)}
*Required* is what a specification demands, *optimal* what it allows and a good cache does. A test counts as passed when it passes and all
that it depends on do. This version of the tests, the newest that is published as a package, is of 2021; *superseded* are those of
which RFC 9111, of 2022, and with it later versions of the tests, say otherwise: they are marked below. \`npm run conformance\` repeats this, and fails if Meridian passes any test less, or more, than is said here.
What each rule of RFC 9111 comes to is in [rfc9111.md](rfc9111.md).

## What Meridian does otherwise

${listed.join('')}`;
}
