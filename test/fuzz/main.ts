// `npm run fuzz`: a long fuzzing run against one edge, a GiB unless told otherwise.
//
//   npm run fuzz -- --bytes 100000000 --seed 7 --connections 16
import { parseArgs } from 'node:util';
import { fuzz } from './run.ts';

const { values } = parseArgs({
  options: {
    bytes: { type: 'string', default: String(2 ** 30) },
    seed: { type: 'string', default: '1' },
    connections: { type: 'string', default: '16' },
  },
});
const [bytes, seed, connections] = [values.bytes, values.seed, values.connections].map(Number);
if (!isPositive(bytes) || !isPositive(seed) || !isPositive(connections)) {
  console.error('--bytes, --seed and --connections are whole numbers above 0');
  process.exit(2);
}
const began = performance.now();
const line = (report: { bytes: number; connections: number; memory: number }): string =>
  `${(report.bytes / 1e6).toFixed(0)} MB, ${report.connections} connections, the edge takes ${report.memory} MiB`;
try {
  const report = await fuzz({ bytes, seed, connections, onProgress: (report) => console.log(line(report)) });
  console.log(`${line(report)}; no crash, no hang, no leak in ${((performance.now() - began) / 1e3).toFixed(0)} s`);
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}

function isPositive(value: number | undefined): value is number {
  return value !== undefined && Number.isSafeInteger(value) && value > 0;
}
