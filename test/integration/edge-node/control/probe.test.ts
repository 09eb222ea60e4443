// Probes of real servers on the loopback interface, in every condition that an origin can be in.
import assert from 'node:assert/strict';
import { createServer, type RequestListener } from 'node:http';
import net, { type AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { guardedLookup } from '../../../../edge-node/io/guarded-lookup.ts';
import { httpProbe } from '../../../../edge-node/io/probe.ts';
import { systemClock } from '../../../../infra/runtime/clock.ts';
import { FakeClock } from '../../../support/fake-clock.ts';

const CHECK = { path: '/health?full', intervalMs: 1_000, timeoutMs: 2_000, unhealthyThreshold: 1, healthyThreshold: 1 };
const idle = new AbortController().signal;

async function serve(t: TestContext, listener: RequestListener): Promise<string> {
  const server = createServer(listener).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function probe(address: string, check: Partial<typeof CHECK> = {}, signal = idle) {
  return httpProbe(systemClock, guardedLookup())(address, { ...CHECK, ...check }, signal);
}

test('a status of 200 to 399 is a success, any other a failure, and a redirect is not followed', async (t) => {
  let status = 200;
  const paths: string[] = [];
  const address = await serve(t, (request, response) => {
    paths.push(request.url ?? '');
    response.writeHead(status, { location: '/elsewhere' }).end('body');
  });
  for (const [code, success] of [
    [200, true],
    [204, true],
    [302, true],
    [399, true],
    [400, false],
    [404, false],
    [500, false],
  ] as const) {
    status = code;
    assert.deepEqual(await probe(address), { success, detail: `status ${code}` });
  }
  assert.deepEqual(new Set(paths), new Set(['/health?full']));
});

test('a probe says who asks, and uses a connection of its own', async (t) => {
  const seen: string[] = [];
  const ports = new Set<number | undefined>();
  const address = await serve(t, (request, response) => {
    seen.push(`${request.method} ${request.headers['user-agent']} ${request.headers.connection}`);
    ports.add(request.socket.remotePort);
    response.end();
  });
  await probe(address);
  await probe(address);
  assert.deepEqual(seen, ['GET meridian-probe close', 'GET meridian-probe close']);
  assert.equal(ports.size, 2);
});

test('an origin that hangs is a failure at the timeout', async (t) => {
  const clock = new FakeClock();
  const arrived = Promise.withResolvers<void>();
  const closed = Promise.withResolvers<void>();
  const address = await serve(t, (request) => {
    request.socket.once('close', () => closed.resolve());
    arrived.resolve();
  });
  const result = httpProbe(clock, guardedLookup())(address, CHECK, idle);
  await arrived.promise;
  clock.advance(2_000);
  assert.deepEqual(await result, { success: false, detail: 'timed out after 2000 ms' });
  await closed.promise;
  assert.equal(clock.pending, 0);
});

test('a head in time is a success though the body never ends', async (t) => {
  const clock = new FakeClock();
  const arrived = Promise.withResolvers<void>();
  const address = await serve(t, (_request, response) => {
    response.writeHead(200).write('begin', () => arrived.resolve());
  });
  const result = httpProbe(clock, guardedLookup())(address, CHECK, idle);
  await arrived.promise;
  // The head is in this process's socket buffer; a whole exchange later it has been read.
  await probe(await serve(t, (_request, response) => response.end()));
  clock.advance(2_000);
  assert.deepEqual(await result, { success: true, detail: 'status 200' });
});

test('a body without end is not read to its end', async (t) => {
  let sent = 0;
  const address = await serve(t, (_request, response) => {
    const chunk = Buffer.alloc(64 * 1024);
    const pump = (): void => {
      while (!response.destroyed) {
        sent += chunk.length;
        if (!response.write(chunk)) {
          response.once('drain', pump);
          return;
        }
      }
    };
    pump();
  });
  assert.deepEqual(await probe(address), { success: true, detail: 'status 200' });
  assert.ok(sent < 64 * 1024 * 1024);
});

test('an origin that refuses, breaks off or speaks another protocol is a failure that says so', async (t) => {
  const closed = await serve(t, () => undefined);
  const port = Number(new URL(closed).port);
  const free = await new Promise<number>((resolve) => {
    const server = net.createServer().listen(0, '127.0.0.1', () => {
      const { port: unused } = server.address() as AddressInfo;
      server.close(() => resolve(unused));
    });
  });
  assert.notEqual(free, port);
  assert.deepEqual(await probe(`http://127.0.0.1:${free}`), { success: false, detail: 'connection refused' });

  const raw = net.createServer((socket) => socket.once('data', () => socket.end(answer))).listen(0, '127.0.0.1');
  t.after(() => raw.close());
  await new Promise((resolve) => raw.once('listening', resolve));
  const address = `http://127.0.0.1:${(raw.address() as AddressInfo).port}`;
  let answer = '';
  assert.deepEqual(await probe(address), { success: false, detail: 'connection closed before an answer' });
  answer = 'SSH-2.0-OpenSSH\r\n';
  assert.equal((await probe(address)).success, false);
  answer = `HTTP/1.1 200 OK\r\nx: ${'y'.repeat(20_000)}\r\n\r\n`;
  assert.deepEqual(await probe(address), { success: false, detail: 'the header section is too large' });
});

test('a probe that is given up ends at once', async (t) => {
  const arrived = Promise.withResolvers<void>();
  const address = await serve(t, () => arrived.resolve());
  const controller = new AbortController();
  const result = probe(address, { timeoutMs: 600_000 }, controller.signal);
  await arrived.promise;
  controller.abort();
  assert.equal((await result).success, false);
});

test('a probe of a metadata address is refused without a connection, literal or resolved', async () => {
  const literal = await probe('http://169.254.169.254');
  assert.deepEqual(literal, {
    success: false,
    detail: '169.254.169.254 is a link-local address, to which an edge never connects',
  });
  const v6 = await probe('http://[fd00:ec2::254]:80');
  assert.match(v6.detail, /^fd00:ec2::254 is a cloud-metadata address/);
  const lookup = guardedLookup((_name, _options, answer) => answer(null, [{ address: '169.254.169.254', family: 4 }]));
  const named = await httpProbe(systemClock, lookup)('http://rebound.example', CHECK, idle);
  assert.match(named.detail, /^rebound\.example \(169\.254\.169\.254\) is a link-local address/);
});

test('a name that does not resolve, and one that resolves to a denied and an allowed address', async (t) => {
  const nowhere = guardedLookup((name, _options, answer) =>
    answer(Object.assign(new Error(`getaddrinfo ENOTFOUND ${name}`), { code: 'ENOTFOUND' }), []),
  );
  assert.deepEqual(await httpProbe(systemClock, nowhere)('http://nowhere.example', CHECK, idle), {
    success: false,
    detail: 'the name does not resolve',
  });
  const { port } = new URL(await serve(t, (_request, response) => response.end()));
  const both = guardedLookup((_name, _options, answer) =>
    answer(null, [
      { address: 'fe80::1', family: 6 },
      { address: '127.0.0.1', family: 4 },
    ]),
  );
  const mixed = await httpProbe(systemClock, both)(`http://mixed.example:${port}`, CHECK, idle);
  assert.deepEqual(mixed, { success: true, detail: 'status 200' });
});

test('connections that want one name at the same time share a query', () => {
  const queries: (() => void)[] = [];
  const lookup = guardedLookup((_name, _options, answer) =>
    queries.push(() => answer(null, [{ address: '127.0.0.1', family: 4 }])),
  );
  const got: unknown[] = [];
  lookup('a.example', { all: true }, (_error, addresses) => got.push(addresses));
  lookup('a.example', {}, (_error, address) => got.push(address));
  lookup('b.example', {}, (_error, address) => got.push(address));
  assert.equal(queries.length, 2);
  queries[0]?.();
  assert.deepEqual(got, [[{ address: '127.0.0.1', family: 4 }], '127.0.0.1']);
  lookup('a.example', {}, (_error, address) => got.push(address));
  assert.equal(queries.length, 3);
});

test('a name is judged at every connection: one that is pointed elsewhere later is refused from then on', () => {
  let address = '192.0.2.1';
  const lookup = guardedLookup((_name, _options, answer) => answer(null, [{ address, family: 4 }]));
  const got: unknown[] = [];
  const note = (error: Error | null, found: unknown) => got.push(error?.message ?? found);
  lookup('origin.example', {}, note);
  address = '169.254.169.254';
  lookup('origin.example', {}, note);
  assert.equal(got[0], '192.0.2.1');
  assert.match(String(got[1]), /^origin\.example \(169\.254\.169\.254\) is a link-local address/);
});
