// Runs the micro-benchmarks in bench/micro one after the other: `npm run bench:micro`, or with names, `npm run bench:micro cache`.
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const folder = new URL('micro/', import.meta.url);
const wanted = process.argv.slice(2);
const names = readdirSync(folder)
  .filter((file) => file.endsWith('.ts'))
  .map((file) => file.slice(0, -3));
const unknown = wanted.filter((name) => !names.includes(name));
if (unknown.length > 0) {
  console.error(`there is no micro-benchmark ${unknown.join(', ')}; there are ${names.join(', ')}`);
  process.exitCode = 2;
} else {
  for (const name of wanted.length > 0 ? wanted : names) {
    console.log(`\n# ${name}`);
    const { status } = spawnSync(process.execPath, [fileURLToPath(new URL(`${name}.ts`, folder))], {
      stdio: 'inherit',
    });
    if (status !== 0) process.exitCode = 1;
  }
}
