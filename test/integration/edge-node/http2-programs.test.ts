// Other people's clients, where the machine has them: curl and h2load, both on nghttp2.
import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { startOrigin } from '../../support/edge.ts';
import { tempFolder } from '../../support/temp.ts';
import { Http2User, startTlsEdge } from '../../support/tls-edge.ts';

const run = promisify(execFile);
const LIMIT_MS = 60_000;

/** What says why a test is skipped: the program is not here, or not with HTTP/2. */
function missing(program: string, sign: RegExp): string | false {
  const { stdout } = spawnSync(program, ['--version'], { encoding: 'utf8' });
  return sign.test(stdout ?? '') ? false : `no ${program} with HTTP/2 on this machine`;
}

const origin = await startOrigin((req, res) => {
  if (req.url?.startsWith('/cached')) res.setHeader('cache-control', 'max-age=60').end('x'.repeat(100_000));
  else req.pipe(res);
});
const edge = await startTlsEdge({ london: origin.address });

test('curl gets what it asks for, and sends what it has', { skip: missing('curl', /\bHTTP2\b/i) }, async (t) => {
  const connect = ['--connect-to', `demo.example:443:127.0.0.1:${edge.port}`];
  const curl = async (target: string, ...options: string[]) => {
    const common = [
      '--silent',
      '--show-error',
      '--http2',
      '--insecure',
      ...connect,
      '--write-out',
      '\n%{http_version} %{http_code}',
    ];
    const { stdout } = await run('curl', [...common, ...options, `https://demo.example${target}`], {
      timeout: LIMIT_MS,
      maxBuffer: 10_000_000,
    });
    return stdout;
  };
  const whole = `${'x'.repeat(100_000)}\n2 200`;
  assert.equal(await curl('/cached/a'), whole);
  assert.equal(await curl('/cached/a'), whole);
  assert.match(await curl('/cached/a', '--head'), /content-length: 100000\r\n[\s\S]*\n2 200$/i);
  const file = path.join(tempFolder(t), 'body');
  await writeFile(file, 'y'.repeat(1_000_000));
  assert.equal(await curl('/echo', '--data-binary', `@${file}`), `${'y'.repeat(1_000_000)}\n2 200`);
  assert.match(await curl('/a%2fb'), /malformed-target[\s\S]*\n2 400$/);
});

test('h2load gets every answer', { skip: missing('h2load', /nghttp2/) }, async () => {
  await new Http2User(edge.port).ask('/cached/b');
  const target = [`--connect-to=127.0.0.1:${edge.port}`, 'https://demo.example/cached/b'];
  // With small windows, and with large ones.
  for (const window of [[], ['-w', '14', '-W', '17']]) {
    const load = ['-t', '1', '-c', '4', '-m', '16', '-n', '1000', ...window];
    const { stdout } = await run('h2load', [...load, ...target], { timeout: LIMIT_MS });
    assert.match(stdout, / 1000 succeeded, 0 failed, 0 errored, 0 timeout/);
    assert.match(stdout, /^status codes: 1000 2xx/m);
  }
});
