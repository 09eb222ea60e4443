// The whole of Meridian on this machine, as `meridian up` runs it, asked as a newcomer would ask it. Real processes, real
// sockets; nothing waits longer than it must.
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { INSTALL_ETCD, onPath } from '../../cli/stack/etcd.ts';
import { HOST, portsOf } from '../../cli/stack/layout.ts';
import { takenPorts } from '../../cli/stack/ports.ts';
import { isAlive, type LocalStack, meridian, startMeridian, startStack } from '../support/command.ts';
import { until } from '../support/until.ts';
import { askAs, LONDON, REGIONS } from '../support/world.ts';

let lastPage = 0;
/** A path that no test has asked for. */
function freshPath(): string {
  lastPage += 1;
  return `/page-${lastPage}`;
}

async function warm(stack: LocalStack, target: string): Promise<void> {
  for (const url of stack.edgeUrls) {
    await askAs(LONDON, url + target);
    assert.equal((await askAs(LONDON, url + target)).hit, true, `warm at ${url}`);
  }
}

/** Sends `text` as it is, and gives what comes back until the other end closes. */
async function raw(port: number, text: string): Promise<string> {
  const socket = connect(port, HOST);
  socket.setTimeout(5000, () => socket.destroy(new Error('the connection was left open')));
  socket.write(text);
  let answer = '';
  for await (const piece of socket) answer += piece;
  return answer;
}

describe('a local stack', () => {
  let stack: LocalStack;
  let firstEdge = '';
  const allPids = new Set<number>();

  before(async () => {
    stack = await startStack('--restart-after', '3s');
    firstEdge = stack.edgeUrls[0] ?? '';
    for (const name of [
      'control-plane',
      ...stack.layout.edges.map((e) => e.name),
      ...stack.layout.origins.map((o) => o.name),
    ]) {
      allPids.add(stack.pid(name));
    }
  });
  after(() => stack.stop());

  test('prints what runs where, and three commands that work as printed', async () => {
    assert.equal(allPids.size, 8);
    for (const pid of allPids) assert.ok(isAlive(pid), `pid ${pid}`);
    const commands = stack.output().match(/^ {2}\S.*$/gm) ?? [];
    assert.equal(commands.length, 3);
    for (const command of commands) {
      const [program, ...words] = command.trim().split(' ');
      if (program === 'curl') continue;
      const { code, stderr } = await meridian(...words);
      assert.equal(code, 0, `${command}\n${stderr}`);
    }
  });

  for (const { city, addresses, origins } of REGIONS) {
    for (const address of addresses) {
      test(`a client in ${city} (${address}) is answered by ${origins[0]}, then from the cache, at every edge`, async () => {
        for (const url of stack.edgeUrls) {
          const target = freshPath();
          const first = await askAs(address, url + target);
          assert.deepEqual([first.status, first.origin, first.hit], [200, origins[0], false], first.cacheStatus);
          const second = await askAs(address, url + target);
          assert.deepEqual([second.status, second.origin, second.hit], [200, origins[0], true], second.cacheStatus);
          assert.equal(second.body, first.body);
        }
      });
    }
  }

  test('clients of many cities, simulated, are answered by the edge and the origin nearest to each', async () => {
    const flags = ['--control-plane', stack.admin, '--port-base', String(stack.layout.control.edgePort)];
    const { code, stdout, stderr } = await meridian(
      'simulate',
      '--duration',
      '1s',
      '--out',
      'none',
      '--json',
      ...flags,
    );
    assert.equal(code, 0, stderr);
    const { clients, total } = JSON.parse(stdout) as {
      clients: { city: string; edge: string; origins: Record<string, number> }[];
      total: { requests: number; errors: number };
    };
    assert.deepEqual([total.requests, total.errors], [300, 0]);
    for (const [city, edge, origin] of [
      ['New York', 'edge-frankfurt', 'london'],
      ['Rio de Janeiro', 'edge-sao-paulo', 'sao-paulo'],
      ['Lagos', 'edge-frankfurt', 'lagos'],
      ['Johannesburg', 'edge-sao-paulo', 'lagos'],
      ['Mumbai', 'edge-singapore', 'london'],
      ['Auckland', 'edge-singapore', 'sydney'],
    ] as const) {
      const client = clients.find((each) => each.city === city);
      assert.equal(client?.edge, edge);
      assert.ok((client.origins[origin] ?? 0) > 0, JSON.stringify(client));
    }
  });

  test('explain gives the ranking with distances and health', async () => {
    const { code, stdout } = await meridian(
      ...['explain', `${firstEdge}/hello`, '--ip', LONDON, '--control-plane', stack.admin, '--json'],
    );
    assert.equal(code, 0);
    const parsed = JSON.parse(stdout) as {
      explanations: { ranking: { origin: string; distanceKm: number; health: string }[] }[];
    };
    const ranking = parsed.explanations[0]?.ranking ?? [];
    assert.deepEqual(
      ranking.map((each) => each.origin),
      ['london', 'lagos', 'sao-paulo', 'sydney'],
    );
    assert.ok(ranking.every((each) => each.health === 'up'));
    assert.ok((ranking[0]?.distanceKm ?? 99) < 10 && (ranking[3]?.distanceKm ?? 0) > 16_000);
  });

  test('a purge names every edge, exits 0, and the next request is a miss at every edge', async () => {
    const target = freshPath();
    await warm(stack, target);
    const { code, stdout } = await meridian('purge', 'url', firstEdge + target, '--control-plane', stack.admin);
    assert.equal(code, 0, stdout);
    for (const { name } of stack.layout.edges) assert.match(stdout, new RegExp(`${name} +ACKED +[\\d.]+ ms`));
    for (const url of stack.edgeUrls) {
      const answer = await askAs(LONDON, url + target);
      assert.equal(answer.hit, false, answer.cacheStatus);
    }
  });

  test('a purge while an edge hangs exits 3 and names it; once back it does not serve what was purged', async () => {
    const target = freshPath();
    await warm(stack, target);
    const [, stopped] = stack.layout.edges;
    const pid = stack.pid(stopped?.name ?? '');
    process.kill(pid, 'SIGSTOP');
    try {
      const { code, stdout, stderr } = await meridian(
        ...['purge', 'url', firstEdge + target, '--control-plane', stack.admin, '--timeout', '1s'],
      );
      assert.equal(code, 3, stdout + stderr);
      assert.match(stdout, new RegExp(`${stopped?.name} +LATE`));
      assert.match(stderr, new RegExp(`${stopped?.name}`));
      assert.equal((await askAs(LONDON, firstEdge + target)).hit, false);
    } finally {
      process.kill(pid, 'SIGCONT');
    }
    const url = `http://${HOST}:${stopped?.port}${target}`;
    await until('the purge arrives at the edge that was stopped', async () => {
      const { stdout } = await meridian('purge', 'url', `${firstEdge}/other`, '--control-plane', stack.admin);
      return !stdout.includes('LATE');
    });
    assert.equal((await askAs(LONDON, url)).hit, false);
  });

  test('kill -9 of the nearest origin under load: no request fails, the next nearest answers, then it returns', async () => {
    const { addresses, origins } = REGIONS[0] ?? assert.fail();
    const seen: string[] = [];
    let running = true;
    const load = (async () => {
      for (let i = 0; running; i += 1) {
        const { status, origin } = await askAs(addresses[0], `${firstEdge}/load/${i}`);
        assert.equal(status, 200);
        if (seen.at(-1) !== origin) seen.push(origin ?? 'none');
        await wait(2);
      }
    })();
    await until('requests flow', () => seen.length > 0);
    process.kill(stack.pid(origins[0]), 'SIGKILL');
    await until('the next nearest answers', () => seen.includes(origins[1]));
    await until('the nearest is back', () => seen.at(-1) === origins[0] && seen.length > 1);
    running = false;
    await load;
    assert.deepEqual(seen, [origins[0], origins[1], origins[0]]);
    assert.match(stack.output(), /^london \(pid \d+\) ended: killed by SIGKILL; starting it again in 3 s$/m);
    assert.match(stack.output(), /^london is back \(pid \d+\)$/m);
    allPids.add(stack.pid('london'));
  });

  test('a hostname that no site has is answered 421, and nothing of the origins shows', async () => {
    const answer = await raw(
      stack.layout.edges[0]?.port ?? 0,
      'GET / HTTP/1.1\r\nHost: unknown.example\r\nConnection: close\r\n\r\n',
    );
    assert.match(answer, /^HTTP\/1\.1 421 /);
    for (const { port } of stack.layout.origins) assert.ok(!answer.includes(String(port)));
    assert.doesNotMatch(answer, /x-origin|london|lagos|sydney|paulo| at .*\.ts/i);
  });

  test('a request with both Content-Length and Transfer-Encoding is answered 400, and the connection closed', async () => {
    const answer = await raw(
      stack.layout.edges[0]?.port ?? 0,
      'POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n' +
        '0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n',
    );
    assert.match(answer, /^HTTP\/1\.1 400 /);
    assert.equal(answer.match(/HTTP\/1\.1 /g)?.length, 1);
  });

  test('a second start in the same directory is refused with the pid of the first', async () => {
    const { code, stderr } = await meridian('up', '--data', stack.directory, '--port-base', '60000');
    assert.equal(code, 1);
    assert.match(stderr, new RegExp(`already runs .*\\(pid ${stack.child.pid}\\)`));
  });

  test('a start on ports in use names each port, what needs it and what to do, and starts nothing', async () => {
    const directory = path.join(stack.directory, 'second');
    const base = stack.layout.control.edgePort;
    const { code, stderr } = await meridian('up', '--data', directory, '--port-base', String(base));
    assert.equal(code, 1);
    assert.match(stderr, new RegExp(`port ${base} on 127\\.0\\.0\\.1 is in use; control-plane \\(edges\\) needs it`));
    assert.match(
      stderr,
      new RegExp(`port ${base + 12} on 127\\.0\\.0\\.1 is in use; edge-sao-paulo \\(clients\\) needs it`),
    );
    assert.match(stderr, /--port-base/);
  });

  test('Ctrl-C ends every process', async () => {
    assert.equal(await stack.stop(), 0);
    for (const pid of allPids) assert.equal(isAlive(pid), false, `pid ${pid}`);
  });
});

describe('a local stack whose parts stay down', () => {
  let stack: LocalStack;
  const extra: { kill(signal: 'SIGKILL'): boolean }[] = [];

  before(async () => {
    stack = await startStack('--restart-after', 'never');
  });
  after(async () => {
    for (const child of extra) child.kill('SIGKILL');
    await stack.stop();
  });

  /** The edge of that place in the layout, started by hand as `meridian up` does it. */
  function startEdge(index: number): void {
    const { name, port, adminPort } = stack.layout.edges[index] ?? assert.fail();
    const { child } = startMeridian(
      ...['edge', '--name', name, '--listen', `${HOST}:${port}`, '--admin-listen', `${HOST}:${adminPort}`],
      ...['--control', `${HOST}:${stack.layout.control.edgePort}`, '--data', path.join(stack.directory, 'edges', name)],
    );
    extra.push(child);
  }

  async function kill(name: string): Promise<void> {
    const pid = stack.pid(name);
    process.kill(pid, 'SIGKILL');
    await until(`${name} is gone`, () => stack.output().includes(`${name} (pid ${pid}) ended`));
  }

  test('a purge while an edge is gone exits 3 and names it; started again it does not serve what was purged', async () => {
    const target = freshPath();
    await warm(stack, target);
    const name = stack.layout.edges[2]?.name ?? '';
    await kill(name);
    const { code, stdout, stderr } = await meridian(
      ...['purge', 'url', `${stack.edgeUrls[0]}${target}`, '--control-plane', stack.admin],
    );
    assert.equal(code, 3, stdout + stderr);
    assert.match(stdout, new RegExp(`${name} +GONE`));
    startEdge(2);
    const url = `${stack.edgeUrls[2]}${target}`;
    await until('the edge answers', () =>
      askAs(LONDON, url).then(
        ({ hit }) => assert.equal(hit, false) ?? true,
        () => false,
      ),
    );
  });

  test('with the control plane gone edges go on serving, and one that starts serves its last good configuration', async () => {
    await kill('control-plane');
    const target = freshPath();
    for (const url of stack.edgeUrls) assert.equal((await askAs(LONDON, url + target)).origin, 'london');
    await kill(stack.layout.edges[1]?.name ?? '');
    startEdge(1);
    await until('the edge answers', () =>
      askAs(LONDON, `${stack.edgeUrls[1]}${freshPath()}`).then(
        ({ status, origin }) => status === 200 && origin === 'london',
        () => false,
      ),
    );
  });

  test('when `meridian up` itself is killed, its processes end', async () => {
    const pids = ['edge-frankfurt', 'london', 'sydney'].map((name) => stack.pid(name));
    for (const pid of pids) assert.ok(isAlive(pid));
    stack.child.kill('SIGKILL');
    await until('the processes end', () => pids.every((pid) => !isAlive(pid)));
  });
});

describe('a local stack over etcd', { skip: needsEtcd() }, () => {
  test('keeps its state in etcd, and takes etcd with it when it is killed', async () => {
    const stack = await startStack('--store', 'etcd');
    try {
      const { stdout } = await meridian('status', '--control-plane', stack.admin);
      assert.match(stdout, /store: etcd/);
      assert.equal((await askAs(LONDON, `${stack.edgeUrls[0]}/`)).origin, 'london');
      stack.child.kill('SIGKILL');
      await until(
        'every port is free again',
        async () => (await takenPorts(portsOf(stack.layout, true), HOST)).length === 0,
      );
    } finally {
      await stack.stop();
    }
  });
});

/** Why the tests of etcd are left out on this machine; in CI they never are. */
function needsEtcd(): string | false {
  return onPath('etcd', process.env.PATH) || process.env.CI ? false : `etcd is not on the PATH: ${INSTALL_ETCD}`;
}

test('with --tls everything proves who it is, and the printed commands still work', async () => {
  const stack = await startStack('--tls');
  try {
    const plain = await meridian('status', '--control-plane', stack.admin);
    assert.match(plain.stderr, /if it uses TLS, give --ca/);
    const line = /meridian\.js (purge .*)$/m.exec(stack.output())?.[1] ?? '';
    const purged = await meridian(...line.split(' '));
    assert.deepEqual([purged.code, purged.stdout.includes('purged on 3 of 3 edges')], [0, true], purged.stderr);
  } finally {
    assert.equal(await stack.stop(), 0);
  }
});
