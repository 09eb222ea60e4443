// What hits take to be cheap changes no answer: two edges get the same requests, purges, snapshots and times, one with prepared
// and rendered answers and remembered requests, the other without, and every octet that leaves them is the same.
import assert from 'node:assert/strict';
import { duplexPair } from 'node:stream';
import { test } from 'node:test';
import type { RequestHead } from '../../../../edge-node/decide/admit.ts';
import type { FieldList } from '../../../../edge-node/decide/fields.ts';
import { Http1Connection } from '../../../../edge-node/io/http1/connection.ts';
import { Http1Shared } from '../../../../edge-node/io/http1/shared.ts';
import type { ClientPort } from '../../../../edge-node/ports.ts';
import { type Random, seededRandom } from '../../../../infra/runtime/random.ts';
import { demoSnapshot, World } from '../../../support/pipeline.ts';
import { below, pick } from '../cache/support.ts';
import { settled } from '../http1/harness.ts';

/** A client to which nothing prepared can be given, and whose requests all look new. */
class PlainClient implements ClientPort {
  readonly #client: ClientPort;
  readonly request: RequestHead;

  constructor(client: ClientPort) {
    this.#client = client;
    this.request = { ...client.request, recurring: false };
  }

  get body() {
    return this.#client.body;
  }
  get onDrain() {
    return this.#client.onDrain;
  }
  set onDrain(value) {
    this.#client.onDrain = value;
  }
  get onGone() {
    return this.#client.onGone;
  }
  set onGone(value) {
    this.#client.onGone = value;
  }
  answer(status: number, fields: FieldList, body: Buffer | undefined, length: number | undefined): void {
    this.#client.answer(status, fields, body, length);
  }
  inform(status: number, fields: FieldList): void {
    this.#client.inform(status, fields);
  }
  begin(status: number, fields: FieldList, length: number | undefined): void {
    this.#client.begin(status, fields, length);
  }
  write(chunk: Uint8Array): boolean {
    return this.#client.write(chunk);
  }
  end(): void {
    this.#client.end();
  }
  abort(): void {
    this.#client.abort();
  }
}

class Edge {
  readonly world = new World();
  readonly prepared = { given: 0, rendered: 0 };
  readonly #shared: Http1Shared;
  #answered = 0;

  constructor(plain: boolean) {
    const onExchange = (client: ClientPort): void => {
      this.world.serve(plain ? new PlainClient(client) : this.#counting(client));
      this.#answerOrigins();
    };
    this.#shared = new Http1Shared(this.world.clock, { onExchange, onRefused: () => assert.fail('refused') });
  }

  /** What comes back for `octets` on a connection of its own. */
  connect(): { send(octets: string): void; received: string } {
    const [client, server] = duplexPair({ allowHalfOpen: true });
    new Http1Connection(server, 'http', this.#shared);
    const connection = { received: '', send: (octets: string) => void client.write(octets, 'latin1') };
    client.on('data', (data: Buffer) => {
      connection.received += data.toString('latin1');
    });
    return connection;
  }

  #counting(client: ClientPort): ClientPort {
    const answerPrepared = client.answerPrepared?.bind(client);
    client.answerPrepared = (prepared) => {
      this.prepared.given += 1;
      if (prepared.octets !== undefined) this.prepared.rendered += 1;
      answerPrepared?.(prepared);
    };
    return client;
  }

  /** Each at once, by its target and the purges so far; a quarter fails. */
  #answerOrigins(): void {
    const { calls, barrier } = this.world;
    for (let call = calls[this.#answered]; call !== undefined; call = calls[this.#answered]) {
      this.#answered += 1;
      const etag = `"${call.request.target}-${barrier.current}"`;
      const fields = ['content-type', 'text/plain', 'etag', etag, 'last-modified', 'Sun, 06 Nov 1994 08:49:37 GMT'];
      if (this.#answered % 4 === 0) call.fail('connect');
      else if (call.field('if-none-match') === etag) {
        call.head(304, [...fields, 'cache-control', 'max-age=3', 'x-asked', `${this.#answered}`]).end();
      } else if (call.request.target === '/heuristic') {
        const modified = new Date(this.world.clock.now() - 25_000).toUTCString();
        call.answer(200, 'for two seconds and a half', ['last-modified', modified]);
      } else if (call.request.target === '/private')
        call.answer(200, 'secret', ['cache-control', 'private', ...fields]);
      else {
        const more = call.request.target === '/vary' ? ['vary', 'accept-language'] : [];
        const text =
          call.request.target === '/long' ? `${barrier.current}`.repeat(20_000) : `body ${barrier.current} `.repeat(40);
        call.answer(call.request.target === '/404' ? 404 : 200, text, [
          'cache-control',
          'max-age=3',
          ...fields,
          ...more,
        ]);
      }
    }
  }
}

const TARGETS = [
  '/a',
  '/a',
  '/a',
  '/b',
  '/b',
  '/long',
  '/vary',
  '/private',
  '/404',
  '/raw/x',
  '/a?q=%61',
  '/../a',
  '/heuristic',
  '/heuristic',
];
const FIELDS = [
  ...new Array<string>(12).fill(''),
  'Accept-Language: fr\r\n',
  'Cache-Control: no-cache\r\n',
  'Cache-Control: no-cache\r\n',
  'Cache-Control: max-age=1\r\n',
  'Cache-Control: max-stale=1\r\n',
  'Cache-Control: only-if-cached\r\n',
  'If-None-Match: "/a-0"\r\n',
  'If-None-Match: W/"/a-1", "/b-1", "/b-2"\r\n',
  'If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n',
  'Range: bytes=3-9\r\n',
  'Range: bytes=0-0,200-\r\n',
  'Range: bytes=100000-\r\n',
  'Range: bytes=3-9\r\nIf-Range: "/a-0"\r\n',
  'Range: bytes=3-9\r\nIf-Range: "/b-0"\r\n',
  'If-Match: "x"\r\n',
  'Connection: close\r\n',
];

function randomRequest(random: Random): string {
  const line = `${pick(random, ['GET', 'GET', 'GET', 'GET', 'HEAD', 'OPTIONS'])} ${pick(random, TARGETS)} HTTP/${pick(random, ['1.1', '1.1', '1.1', '1.0'])}`;
  const host = random.next() < 0.95 ? 'demo.example' : 'other.example';
  return `${line}\r\nHost: ${host}\r\n${pick(random, FIELDS)}\r\n`;
}

test('with everything that makes hits cheap, every answer is what it is without', async () => {
  const random = seededRandom(9111);
  const edges = [new Edge(false), new Edge(true)] as const;
  let revision = 1;
  let same = 0;
  for (let round = 0; round < 400; round += 1) {
    const connections = edges.map((edge) => edge.connect());
    let sent = '';
    for (let i = below(random, 8); i >= 0; i -= 1) {
      const request = randomRequest(random);
      // Requests come in runs, as from clients that want the same.
      for (let repeat = below(random, 6); repeat >= 0; repeat -= 1) {
        sent += request;
        for (const connection of connections) connection.send(request);
        if (random.next() < 0.3) await settled();
        const ms = random.next() < 0.3 ? below(random, 700) : 0;
        for (const { world } of edges) world.clock.advance(ms);
      }
    }
    await settled();
    const [fast, plain] = connections.map(({ received }) => received);
    assert.equal(fast, plain, sent);
    same += fast?.length ?? 0;
    const event = random.next();
    if (event < 0.1) revision += 1;
    for (const { world } of edges) {
      if (event < 0.1)
        world.apply({ ...demoSnapshot(revision), sites: revision % 2 ? demoSnapshot().sites : cacheless() });
      else if (event < 0.2) world.purge();
      else if (event < 0.4) world.purge({ $case: 'url', value: { host: 'demo.example', path: '/a' } });
    }
  }
  const [fast, plain] = edges.map(({ world }) => ({
    settled: world.settled.map(({ exchange, end, bytes }) => [
      exchange.status,
      exchange.outcome,
      exchange.cacheStatus,
      end,
      bytes,
    ]),
    origins: world.calls.map(({ request }) => request),
    cache: world.cache.stats(),
    steps: [...world.transitions].toSorted(),
  }));
  assert.deepEqual(fast, plain);
  const [{ prepared }] = edges;
  assert.ok(
    same > 1_000_000 && prepared.given > 1_000 && prepared.rendered > 300,
    JSON.stringify({ same, ...prepared }),
  );
});

/** The demo's sites, where `/b` is not cached. */
function cacheless() {
  return demoSnapshot().sites.map((site) => ({
    ...site,
    routes: [...site.routes, { pathPrefix: '/b', pool: 'cities', cache: { enabled: false, defaultTtlMs: 0 } }],
  }));
}
