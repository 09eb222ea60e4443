// A web server to stand behind Meridian in demonstrations and tests: it says who it is, and behaves as RFC 9110 and 9111
// ask of an origin (validators, conditional requests, Cache-Control). It holds no state beyond one counter.
import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type OutgoingHttpHeaders,
  type ServerResponse,
} from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Clock } from '../../infra/runtime/clock.ts';

export interface DemoOriginOptions {
  readonly name: string;
  readonly city: string;
  /** Address to listen on. */
  readonly host: string;
  /** 0: the operating system picks one. */
  readonly port: number;
  readonly clock: Clock;
}

export interface DemoOrigin {
  readonly port: number;
  /** Ends idle connections now and all others after a second. */
  close(): Promise<void>;
}

/** The content changes this often. Longer than `max-age`, so that most revalidations find it unchanged. */
const EDITION_MS = 600_000;
const MAX_AGE_S = 60;
const LIMITS = { slowMs: 60_000, streamedBytes: 2 ** 30, echoedBytes: 64 * 1024 } as const;
const CLOSE_MS = 1000;
const PIECE = Buffer.alloc(64 * 1024, 'meridian\n');

const HELP =
  'This origin knows /healthz, /private, /slow?ms=N, /bytes/N, /status/N, /echo; any other path says who it is.';

/** Resolves when it listens; rejects as `net.Server.listen` fails (EADDRINUSE and kin). */
export async function startDemoOrigin(options: DemoOriginOptions): Promise<DemoOrigin> {
  const { name, clock } = options;
  let served = 0;
  const server = createServer({ keepAliveTimeout: 75_000 }, (request, response) => {
    served += 1;
    response.setHeader('x-origin', name);
    response.setHeader('x-origin-served', served);
    answer(request, response, options).catch((error: unknown) => {
      // The client went away, or sent more than is echoed; there is nobody to tell.
      response.destroy(error instanceof Error ? error : undefined);
    });
  });
  const listening = Promise.withResolvers<void>();
  server.once('error', listening.reject);
  server.listen(options.port, options.host, listening.resolve);
  await listening.promise;
  server.off('error', listening.reject);
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : options.port,
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      const timer = clock.after(CLOSE_MS, () => server.closeAllConnections());
      await closed;
      timer.cancel();
    },
  };
}

async function answer(request: IncomingMessage, response: ServerResponse, options: DemoOriginOptions): Promise<void> {
  const url = request.url ?? '/';
  const mark = url.indexOf('?');
  const path = mark === -1 ? url : url.slice(0, mark);
  const [, kind, argument] = path.split('/');
  if (kind === 'echo') return echo(request, response, options);
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    request.resume();
    return json(response, 405, { error: `${request.method} is answered by /echo only` }, { allow: 'GET, HEAD' });
  }
  const number = argument === undefined || !/^\d{1,10}$/.test(argument) ? Number.NaN : Number(argument);
  switch (kind) {
    case 'healthz':
      return text(response, 200, 'ok\n');
    case 'private':
      return document(request, response, options, 'private, max-age=60');
    case 'slow': {
      const ms = Number(new URLSearchParams(url.slice(path.length)).get('ms') ?? '1000');
      if (!(ms >= 0 && ms <= LIMITS.slowMs)) return refuse(response, `ms: expected 0..${LIMITS.slowMs}`);
      await new Promise<void>((resolve) => {
        options.clock.after(ms, resolve);
      });
      return document(request, response, options, `public, max-age=${MAX_AGE_S}`);
    }
    case 'bytes':
      if (!(number <= LIMITS.streamedBytes)) return refuse(response, `/bytes/N: expected 0..${LIMITS.streamedBytes}`);
      return bytes(request, response, number);
    case 'status':
      if (!(number >= 200 && number <= 599)) return refuse(response, '/status/N: expected 200..599');
      return text(response, number, number === 204 || number === 304 ? '' : `${number}\n`);
    default:
      return document(request, response, options, `public, max-age=${MAX_AGE_S}`);
  }
}

function document(
  request: IncomingMessage,
  response: ServerResponse,
  { name, city, clock }: DemoOriginOptions,
  cacheControl: string,
): void {
  const edition = Math.floor(clock.now() / EDITION_MS) * EDITION_MS;
  const etag = `"${name}-${edition / EDITION_MS}"`;
  const headers = {
    'cache-control': cacheControl,
    etag,
    'last-modified': new Date(edition).toUTCString(),
  };
  if (isUnchanged(request.headers, etag, edition)) {
    response.writeHead(304, headers).end();
    return;
  }
  const body = { origin: name, city, path: request.url, generated: new Date(edition).toISOString() };
  json(response, 200, body, headers);
}

/** RFC 9110 section 13.1: If-None-Match, by weak comparison, wins over If-Modified-Since. `modified`: Unix milliseconds. */
function isUnchanged(headers: IncomingHttpHeaders, etag: string, modified: number): boolean {
  const given = headers['if-none-match'];
  if (given !== undefined) {
    return given.trim() === '*' || given.split(',').some((tag) => tag.trim().replace(/^W\//, '') === etag);
  }
  const since = Date.parse(headers['if-modified-since'] ?? '');
  return modified <= since;
}

async function bytes(request: IncomingMessage, response: ServerResponse, count: number): Promise<void> {
  response.writeHead(200, {
    'content-type': 'application/octet-stream',
    'content-length': count,
    'cache-control': `public, max-age=${MAX_AGE_S}`,
    etag: `"bytes-${count}"`,
  });
  if (request.method === 'HEAD') {
    response.end();
    return;
  }
  await pipeline(Readable.from(pieces(count)), response);
}

function* pieces(count: number): Generator<Buffer> {
  for (let left = count; left > 0; left -= PIECE.length) yield left < PIECE.length ? PIECE.subarray(0, left) : PIECE;
}

async function echo(request: IncomingMessage, response: ServerResponse, { name }: DemoOriginOptions): Promise<void> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of request) {
    size += part.length;
    if (size <= LIMITS.echoedBytes) parts.push(part);
  }
  const { method, url: path, headers } = request;
  const body = size <= LIMITS.echoedBytes ? Buffer.concat(parts).toString() : undefined;
  json(response, 200, { origin: name, method, path, headers, bytes: size, body }, { 'cache-control': 'no-store' });
}

function refuse(response: ServerResponse, detail: string): void {
  json(response, 400, { error: detail, help: HELP }, { 'cache-control': 'no-store' });
}

function text(response: ServerResponse, status: number, body: string): void {
  response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8', 'cache-control': 'no-store' }).end(body);
}

function json(response: ServerResponse, status: number, body: object, headers: OutgoingHttpHeaders): void {
  const rendered = `${JSON.stringify(body)}\n`;
  response
    .writeHead(status, {
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(rendered),
      ...headers,
    })
    .end(rendered);
}
