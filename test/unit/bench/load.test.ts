import assert from 'node:assert/strict';
import { test } from 'node:test';
import { h2Command, handshakesCommand, parseH2load, parseLatencies, sum } from '../../../bench/load/h2load.ts';
import { parseWrk, wrkCommand } from '../../../bench/load/wrk.ts';
import { zipf } from '../../../bench/load/zipf.ts';
import { seededRandom } from '../../../infra/runtime/random.ts';

function wrkReport(changes: Readonly<Record<string, unknown>> = {}): string {
  const counts = { requests: 300, microseconds: 1_500_000, bytes: 360_000, p50: 250, p99: 9_000 };
  const errors = { connect: 0, read: 0, write: 0, timeout: 0, status: 0 };
  return `Running 13s test @ http://127.0.0.1:1/\n  300 requests in 1.50s\n\nbench ${JSON.stringify({ ...counts, ...errors, ...changes })}\n`;
}

test('wrk is told what to ask for, and of which paths', () => {
  const options = { url: 'http://127.0.0.1:1/a', connections: 64, seconds: 0.5, fields: { range: 'bytes=0-1' } };
  const one = wrkCommand(options);
  assert.deepEqual(one.slice(0, 7), ['wrk', '-t', '1', '-c', '64', '-d', '11s']);
  assert.ok(one.includes('range: bytes=0-1'));
  assert.match(one.join(' '), /report\.lua .*http:\/\/127\.0\.0\.1:1\/a$/);
  assert.match(wrkCommand({ ...options, paths: '/tmp/paths' }).join(' '), /zipf\.lua .*1\/a -- \/tmp\/paths$/);
});

test('the report of wrk is exact', () => {
  assert.deepEqual(parseWrk(wrkReport()), { requests: 300, seconds: 1.5, bytes: 360_000, p50Us: 250, p99Us: 9_000 });
});

test('whatever went wrong for wrk is told', () => {
  assert.equal(parseWrk(wrkReport({ timeout: 3, read: 1 })).errors, '1 failed to read, 3 timed out');
  assert.equal(parseWrk(wrkReport({ status: 2 })).errors, '2 answers that are neither 2xx nor 3xx');
});

test('a report of wrk that is missing or not whole is an error', () => {
  assert.throws(() => parseWrk('unable to connect to 127.0.0.1:1 Connection refused\n'), /wrote no report/);
  assert.throws(() => parseWrk(wrkReport({ p99: undefined })), /no number "p99"/);
  assert.throws(() => parseWrk(wrkReport({ bytes: 'many' })), /no number "bytes"/);
  assert.throws(() => parseWrk('bench {"requests"}\n'), SyntaxError);
});

const H2LOAD = `starting benchmark...
TLS Protocol: TLSv1.3
Application protocol: h2
finished in 537.28ms, 1758.00 req/s, 123.99KB/s
requests: 879 total, 887 started, 879 done, 879 succeeded, 0 failed, 0 errored, 0 timeout
status codes: 879 2xx, 0 3xx, 0 4xx, 0 5xx
traffic: 62.00KB (63484) total, 41.20KB (42192) headers (space savings 51.02%), 5.15KB (5274) data
                     min         max         mean         sd        +/- sd
time for request:      119us     36.74ms      2.26ms      4.75ms    92.95%
`;

test('h2load is told to connect to a port by the name in the certificate', () => {
  const options = { port: 8443, path: '/a', connections: 4, seconds: 0.5, logFile: '/tmp/log' };
  assert.match(h2Command(options).join(' '), /-c 4 -m 8 -D 500ms --log-file=\/tmp\/log/);
  assert.match(h2Command(options).join(' '), /--connect-to=127\.0\.0\.1:8443 https:\/\/localhost:8443\/a$/);
  assert.match(handshakesCommand(8443, '/a', 9).join(' '), /--h1 -t 1 -c 9 -n 9 /);
});

test('the time of an h2load run is the one that its rate is taken over', () => {
  assert.deepEqual(parseH2load(H2LOAD, 'h2'), { requests: 879, seconds: 0.5, bytes: 63_484 });
});

test('whatever went wrong for h2load is told', () => {
  const failed = H2LOAD.replace('0 failed', '5 failed').replace('0 5xx', '7 5xx');
  assert.equal(parseH2load(failed, 'h2').errors, '5 failed, 7 answers that are not 2xx');
});

test('an h2load run over another protocol than was meant is an error, and so is one without a report', () => {
  assert.throws(() => parseH2load(H2LOAD, 'http/1.1'), /spoke h2 instead of http\/1\.1/);
  assert.throws(() => parseH2load('starting benchmark...\n', 'h2'), /spoke nothing/);
  assert.throws(() => parseH2load(H2LOAD.replace('finished in', 'gave up after'), 'h2'), /wrote no report/);
});

test('latencies come from the log of h2load', () => {
  const log = Array.from({ length: 100 }, (_, index) => `1795493707751284\t200\t${index + 1}\n`).join('');
  assert.deepEqual(parseLatencies(log), { p50Us: 50, p99Us: 99 });
});

test('runs after one another count as one', () => {
  const run = { requests: 10, seconds: 0.5, bytes: 100 };
  assert.deepEqual(sum([run, run]), { requests: 20, seconds: 1, bytes: 200 });
  assert.equal(sum([run, { ...run, errors: '1 failed' }]).errors, '1 failed');
});

test('the report parsers answer or throw an Error, whatever a program writes', () => {
  const random = seededRandom(7);
  for (const text of [wrkReport(), H2LOAD]) {
    for (let round = 0; round < 500; round += 1) {
      const at = Math.floor(random.next() * text.length);
      const end = at + Math.floor(random.next() * 20);
      const mutated = text.slice(0, at) + String.fromCharCode(random.next() * 128) + text.slice(end);
      for (const parse of [parseWrk, (output: string) => parseH2load(output, 'h2')]) {
        try {
          assert.equal(typeof parse(mutated).requests, 'number');
        } catch (error) {
          assert.ok(error instanceof Error);
        }
      }
    }
  }
});

test('objects are asked for by Zipf’s law: the second half as often as the first, the tenth a tenth as often', () => {
  const ranks = zipf(1_000, 200_000, seededRandom(1));
  const counts = new Array<number>(1_000).fill(0);
  for (const rank of ranks) counts[rank] = (counts[rank] ?? 0) + 1;
  const [first = 0, second = 0] = counts;
  assert.ok(Math.abs(second / first - 1 / 2) < 0.03, `${second} of ${first}`);
  assert.ok(Math.abs((counts[9] ?? 0) / first - 1 / 10) < 0.01, `${counts[9]} of ${first}`);
  // The sum of 1/r over 1,000 ranks is 7.485.
  assert.ok(Math.abs(first / 200_000 - 1 / 7.485) < 0.005);
  assert.ok(ranks.every((rank) => Number.isInteger(rank) && rank >= 0 && rank < 1_000));
  assert.deepEqual(zipf(1_000, 100, seededRandom(1)), ranks.slice(0, 100), 'the same for the same seed');
});
