// The tests for HTTP caches that cache-tests.fyi shows the results of (https://github.com/http-tests/cache-tests, BSD 3-Clause):
// fetched for each run in one fixed version, run as they are, judged as they judge.
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Processes } from '../processes.ts';
import { type CacheTest, type Outcomes, parseOutcomes, parseTests } from './outcome.ts';

export const SUITE = 'http-cache-tests';
export const SUITE_VERSION = '0.4.5';

const INSTALL_MS = 120_000;
/** A run takes 15 s: tests wait for things to become stale, a hundred of them at the same time. */
const RUN_MS = 180_000;

export interface Suite {
  readonly directory: string;
  readonly tests: readonly CacheTest[];
}

/** Into `directory`, which is made. Rejects when it cannot be fetched or is not what it was. */
export async function fetchSuite(directory: string, processes: Processes): Promise<Suite> {
  mkdirSync(directory, { recursive: true });
  writeFileSync(path.join(directory, 'package.json'), '{ "private": true }\n');
  const quiet = ['--ignore-scripts', '--no-audit', '--no-fund', '--no-package-lock', '--loglevel', 'error'];
  const args = ['npm', 'install', '--prefix', directory, ...quiet, `${SUITE}@${SUITE_VERSION}`];
  await processes.run({ args }, undefined, { limitMs: INSTALL_MS });
  const suite = path.join(directory, 'node_modules', SUITE);
  const index: unknown = await import(pathToFileURL(path.join(suite, 'tests', 'index.mjs')).href);
  return { directory: suite, tests: parseTests(index) };
}

/** Runs all tests against the server on `port`, whose origin is origin.ts. */
export async function runSuite(suite: Suite, port: number, processes: Processes): Promise<Outcomes> {
  const cli = path.join(suite.directory, 'cli.mjs');
  const env = { npm_config_base: `http://127.0.0.1:${port}`, npm_config_id: '', npm_package_config_id: '' };
  const { stdout } = await processes.run({ args: [process.execPath, '--no-warnings', cli], env }, undefined, {
    limitMs: RUN_MS,
  });
  return parseOutcomes(stdout);
}
