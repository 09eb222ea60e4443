// Real requests before each measurement: the right answer, from where it should come.
import { readFile } from 'node:fs/promises';
import { setTimeout as wait } from 'node:timers/promises';
import { Client, Pool } from 'undici';
import { bodyOf } from './body.ts';
import type { Instance, Origin } from './instance.ts';
import { cacheable, RANGE_START, type Row } from './rows.ts';

export interface Question {
  readonly port: number;
  readonly path: string;
  readonly fields?: Readonly<Record<string, string>>;
  /** PEM; speaks TLS when given. */
  readonly ca?: string;
  readonly http2?: boolean;
}

export interface Reply {
  readonly status: number;
  readonly body: Buffer;
  /** The field Content-Length. */
  readonly length: string | undefined;
}

/** What a server cannot do, as opposed to what it does wrong. */
export class CannotError extends Error {}

const ANSWER_MS = 10_000;
const TRIES = 50;
const POLL_MS = 20;

/** On a connection of its own. */
export async function ask({ port, path, fields = {}, ca, http2 = false }: Question): Promise<Reply> {
  const origin = ca === undefined ? `http://127.0.0.1:${port}` : `https://localhost:${port}`;
  const client = new Client(origin, {
    allowH2: http2,
    ...(ca !== undefined && { connect: { ca, host: '127.0.0.1', servername: 'localhost' } }),
  });
  try {
    const signal = AbortSignal.timeout(ANSWER_MS);
    const { statusCode, headers, body } = await client.request({ method: 'GET', path, headers: fields, signal });
    const length = headers['content-length']?.toString();
    return { status: statusCode, body: Buffer.from(await body.arrayBuffer()), length };
  } finally {
    await client.destroy();
  }
}

/** Resolves when `row` may be measured on `instance`. Rejects with what is wrong; with CannotError when it is only lacking. */
export async function check(row: Row, instance: Instance, origin: Origin, caFile: string): Promise<void> {
  const question: Question = {
    port: row.tls ? instance.tlsPort : instance.httpPort,
    path: row.path,
    http2: row.load === 'h2',
    ...(row.tls && { ca: await readFile(caFile, 'utf8') }),
  };
  if (row.cached) await fill(question, origin);
  const before = await settled(origin);
  const { status, body, length } = await ask({ ...question, fields: row.fields });
  const asked = (await origin.requests()) - before;
  if (row.answer.status !== 200 && status === 200) {
    throw new CannotError(
      row.answer.status === 206 ? 'answers a range with the whole' : 'answers a condition with 200',
    );
  }
  if (status !== row.answer.status) throw new Error(`answers with ${status} instead of ${row.answer.status}`);
  // RFC 9110 section 8.6 allows it, but wrk waits for a body then.
  if (status === 304 && length !== undefined && length !== '0') {
    throw new CannotError('says Content-Length in a 304, which wrk cannot read');
  }
  if (!body.equals(expected(row))) throw new Error(`answers with a wrong body of ${body.length} bytes`);
  if (row.cached && asked !== 0) throw new Error('asks the origin for what it should have stored');
  if (!row.cached && row.load !== 'idle' && asked !== 1)
    throw new Error(`asks the origin ${asked} times instead of once`);
}

function expected(row: Row): Buffer {
  if (row.answer.status === 304) return Buffer.alloc(0);
  if (row.answer.status !== 206) return bodyOf(row.path, row.answer.bytes);
  const end = RANGE_START + row.answer.bytes;
  return bodyOf(row.path, end).subarray(RANGE_START, end);
}

/** How many requests the origin has had, once what earlier load left under way has arrived there. */
export async function settled(origin: Origin): Promise<number> {
  let before = -1;
  let now = await origin.requests();
  for (let attempt = 0; attempt < TRIES && before !== now; attempt += 1) {
    await wait(POLL_MS);
    before = now;
    now = await origin.requests();
  }
  return now;
}

/** Asks until the origin is no longer asked: some servers store an answer only after they have sent it. */
async function fill(question: Question, origin: Origin): Promise<void> {
  for (let attempt = 0; attempt < TRIES; attempt += 1) {
    const before = await settled(origin);
    const { status } = await ask(question);
    if (status !== 200) throw new Error(`answers with ${status}`);
    if ((await origin.requests()) === before) return;
    await wait(POLL_MS);
  }
  throw new Error('does not store what may be stored');
}

/** Has `count` objects stored, and checks the body of each. Rejects when one is wrong. */
export async function fillMany(port: number, count: number, bytes: number): Promise<void> {
  const connections = 32;
  const pool = new Pool(`http://127.0.0.1:${port}`, { connections, pipelining: 1, allowH2: false });
  let next = 0;
  const work = async (): Promise<void> => {
    for (let id = next; id < count; id = next) {
      next += 1;
      const path = cacheable(bytes, id);
      const { statusCode, body } = await pool.request({ method: 'GET', path });
      const received = Buffer.from(await body.arrayBuffer());
      if (statusCode !== 200 || !received.equals(bodyOf(path, bytes))) {
        throw new Error(`${path} was answered with ${statusCode} and ${received.length} bytes that are not its own`);
      }
    }
  };
  try {
    await Promise.all(Array.from({ length: connections }, work));
  } finally {
    await pool.destroy();
  }
}
