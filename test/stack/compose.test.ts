// The compose file brought up for real, under a project name of its own and on ports that Docker chooses, asked from outside
// and taken down again. Needs a Docker engine and one of `docker compose` and `docker-compose`: npm run test:compose.
import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { type Finished, meridian, runProgram } from '../support/command.ts';
import { askAs, LONDON, REGIONS } from '../support/world.ts';

const PROJECT = `meridian-test-${process.pid}`;
const EDGES = ['edge-frankfurt', 'edge-sao-paulo', 'edge-singapore'] as const;
/** Empty: Docker picks a free port. */
const ANY_PORT = Object.fromEntries(
  ['CONTROL_ADMIN_PORT', ...EDGES.flatMap((name) => [`${name}-port`, `${name}-admin-port`])].map((name) => [
    name.toUpperCase().replaceAll('-', '_'),
    '',
  ]),
);
/** Building the image from nothing downloads its dependencies. */
const UP_MS = 10 * 60_000;

let composeCommand: readonly string[] = [];
let edgeUrls: string[] = [];
/** Set last: the stack is up. */
let admin = '';
let failed = false;

async function compose(...args: string[]): Promise<Finished> {
  const [program = '', ...first] = composeCommand;
  return runProgram(program, [...first, '--project-name', PROJECT, ...args], {
    env: ANY_PORT,
    timeoutMs: UP_MS,
  });
}

async function mustCompose(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await compose(...args);
  assert.equal(code, 0, `compose ${args.join(' ')}\n${stdout}${stderr}`);
  return stdout;
}

async function findCompose(): Promise<readonly string[]> {
  for (const command of [['docker', 'compose'], ['docker-compose']]) {
    const [program = '', ...first] = command;
    const result = await runProgram(program, [...first, 'version']).catch(() => undefined);
    if (result?.code === 0) return command;
  }
  throw new Error('neither "docker compose" nor "docker-compose" is installed');
}

async function address(service: string, port: number): Promise<string> {
  return (await mustCompose('port', service, String(port))).trim();
}

before(async () => {
  composeCommand = await findCompose();
  const began = performance.now();
  await mustCompose('up', '--build', '--detach');
  // The edges are started last, when all else is healthy; themselves they still have to become so.
  const deadline = began + UP_MS;
  while (!(await states()).every((state) => state.endsWith(' healthy'))) {
    if (performance.now() > deadline)
      throw new Error(`not every service became healthy:\n${(await states()).join('\n')}`);
    // Asking costs more than waiting: each time it starts two programs.
    await wait(500);
  }
  console.log(
    `# the compose stack is healthy after ${((performance.now() - began) / 1000).toFixed(1)} s, image included`,
  );
  edgeUrls = [];
  for (const name of EDGES) edgeUrls.push(`http://${await address(name, 8080)}`);
  admin = await address('control-plane', 7401);
});

/** `NAME STATE HEALTH` of each container. */
async function states(): Promise<string[]> {
  const ids = (await mustCompose('ps', '--quiet')).trim().split('\n');
  const { stdout } = await runProgram('docker', [
    ...['inspect', '--format', '{{.Name}} {{.State.Status}} {{.State.Health.Status}}', ...ids],
  ]);
  return stdout.trim().split('\n');
}

afterEach((t) => {
  if ('passed' in t && t.passed === false) failed = true;
});

after(async () => {
  if (failed || admin === '') console.log((await compose('logs', '--no-color', '--tail', '60')).stdout);
  await mustCompose('down', '--volumes', '--timeout', '5');
});

test('a compose stack serves each region from its nearest origin, then from the cache', async () => {
  for (const [index, { city, addresses, origins }] of REGIONS.entries()) {
    const url = `${edgeUrls[index % edgeUrls.length]}/region-${index}`;
    const first = await askAs(addresses[0], url);
    assert.deepEqual(
      [first.status, first.origin, first.hit],
      [200, origins[0], false],
      `${city}: ${first.cacheStatus}`,
    );
    const second = await askAs(addresses[0], url);
    assert.deepEqual([second.origin, second.hit], [origins[0], true], `${city}: ${second.cacheStatus}`);
  }
});

test('one purge reaches every edge: each ACKs, and the next request is a miss there', async () => {
  for (const url of edgeUrls) {
    await askAs(LONDON, `${url}/purged`);
    assert.equal((await askAs(LONDON, `${url}/purged`)).hit, true);
  }
  const { code, stdout, stderr } = await meridian('purge', 'url', 'http://127.0.0.1/purged', '--control-plane', admin);
  assert.equal(code, 0, stdout + stderr);
  for (const name of EDGES) assert.match(stdout, new RegExp(`${name} +ACKED`));
  for (const url of edgeUrls) assert.equal((await askAs(LONDON, `${url}/purged`)).hit, false);
});

test('the command inside the image works as the compose file says', async () => {
  const stdout = await mustCompose('exec', '-T', 'control-plane', 'meridian', 'status');
  assert.match(stdout, /3 of 3 connected/);
  assert.match(stdout, /store: etcd/);
});

test('an origin is stopped: its requests go to the next nearest, and none fails', async () => {
  const { addresses, origins } = REGIONS[0] ?? assert.fail();
  const seen = new Set<string | null>();
  const stopping = compose('stop', '--timeout', '5', 'origin-london');
  let stopped = false;
  void stopping.then(() => {
    stopped = true;
  });
  for (let i = 0; !(stopped && seen.has(origins[1])); i += 1) {
    assert.ok(i < 100_000);
    const { status, origin } = await askAs(addresses[0], `${edgeUrls[0]}/stopped-${i}`);
    assert.equal(status, 200);
    seen.add(origin);
  }
  assert.equal((await stopping).code, 0);
  assert.deepEqual([...seen].sort(), [origins[1], origins[0]].sort());
});
