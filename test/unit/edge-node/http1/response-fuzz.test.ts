// Whatever Meridian's parser of answers accepts, Node's client accepts in its strict mode and reads the same: the same informational
// answers, the same head, body and end. And no octets make it throw.
//
// HTTP1_FUZZ_BYTES=1e9 makes the long run of it, HTTP1_FUZZ_SEED another one.
import assert from 'node:assert/strict';
import http from 'node:http';
import { duplexPair } from 'node:stream';
import { test } from 'node:test';
import { ChunkedDecoder } from '../../../../edge-node/decide/http1/chunked.ts';
import {
  type ParsedResponse,
  ResponseParser,
  ResponseParserShared,
} from '../../../../edge-node/decide/http1/response-parser.ts';
import { seededRandom } from '../../../../infra/runtime/random.ts';

const BYTES = Number(process.env.HTTP1_FUZZ_BYTES ?? 500_000);
const SEED = Number(process.env.HTTP1_FUZZ_SEED ?? 1);
const AT_ONCE = 32;

const random = seededRandom(SEED);
const below = (limit: number) => Math.floor(random.next() * limit);
const chance = (probability: number) => random.next() < probability;
const pick = (list: readonly string[]) => list[below(list.length)] ?? '';
/** Mostly one of the first list, sometimes of the second. */
const mostly = (good: readonly string[], bad: readonly string[], share = 0.97) => pick(chance(share) ? good : bad);

interface Head {
  readonly status: number;
  readonly fields: readonly string[];
}

interface Answer {
  /** In the order of their coming; the last may be final. */
  readonly heads: Head[];
  body: string;
  complete: boolean;
}

function head(status: string, fields: readonly string[]): string {
  const version = mostly(
    ['HTTP/1.1', 'HTTP/1.1', 'HTTP/1.1', 'HTTP/1.0'],
    ['HTTP/1.2', 'HTTP/2.0', 'http/1.1', 'ICE/1.0', ''],
  );
  const line = `${version}${mostly([' '], ['  ', '\t', ''], 0.99)}${status}`;
  const end = () => mostly(['\r\n'], ['\n', '\r', '\r\n ', ' \r\n', '\r\r\n'], 0.99);
  return `${line}${end()}${fields.map((field) => `${field}${end()}`).join('')}${end()}`;
}

function fieldLine(): string {
  const name = mostly(['X-A', 'Server', 'ETag', 'Set-Cookie', 'Date'], ['X A', 'X_A', 'X-A ', '', 'X\0', '\xe9', 'X(']);
  const value = mostly(
    ['1', '"a"', 'a, b', '', 'caf\xe9', 'close'],
    ['a\0', 'a\tb', '\x7f', 'x\r\n y', 'x\ny', 'x\ry'],
  );
  return `${name}${mostly([':'], [' :', '', '\t:'], 0.98)}${mostly([' '], ['', '\t', '  '])}${value}${mostly([''], [' ', '\t'])}`;
}

function chunks(): string {
  let text = '';
  for (let i = below(4); i > 0; i -= 1) {
    const data = 'c'.repeat(1 + below(30));
    const size = mostly([data.length.toString(16)], ['A', ` ${data.length}`, '0x5', '-1', 'fffffffffff'], 0.98);
    text += `${size}${mostly([''], [';a', ' ', ';a=b'], 0.98)}${mostly(['\r\n'], ['\n'], 0.98)}${data}${mostly(['\r\n'], ['\n', '', 'x'], 0.98)}`;
  }
  const trailers = mostly(['', '', '', 'X-T: 1\r\n'], ['Content-Length: 5\r\n', ' x: 1\r\n', 'x\r\n'], 0.95);
  return `${text}${mostly(['0'], ['00', '0;x'])}\r\n${trailers}\r\n`;
}

function answerText(): string {
  let text = '';
  for (let i = below(8) - 5; i > 0; i -= 1) {
    text += head(pick(['100 Continue', '103 Early Hints', '102 Processing']), chance(0.5) ? ['Link: </a>'] : []);
  }
  const status = mostly(
    ['200 OK', '200 OK', '404 ', '500', '206 x', '304 Not Modified', '204 No Content'],
    ['099 x', '20 OK', '2000 OK', '600 x', '101 x'],
  );
  const fields: string[] = [];
  for (let i = below(4); i > 0; i -= 1) fields.push(fieldLine());
  if (chance(0.2)) fields.push(`Connection: ${pick(['close', 'keep-alive', 'Keep-Alive, x', 'upgrade'])}`);
  let body = 'b'.repeat(below(30));
  const kind = below(10);
  if (kind < 4) {
    const length = String(body.length);
    fields.push(
      `Content-Length: ${mostly([length], [`+${length}`, `0${length}`, `${length}, ${length}`, '-1', '', '1e1'], 0.95)}`,
    );
    if (chance(0.05)) fields.push(`Content-Length: ${pick([length, '3'])}`);
  }
  if ((kind >= 4 && kind < 8) || chance(0.03)) {
    fields.push(
      `Transfer-Encoding: ${mostly(['chunked', 'Chunked'], ['identity', 'gzip, chunked', 'chunked, gzip', 'chunked,', ''], 0.95)}`,
    );
    if (chance(0.03)) fields.push('Transfer-Encoding: chunked');
    body = chunks();
  }
  for (let i = fields.length - 1; i > 0; i -= 1) {
    const j = below(i + 1);
    [fields[i], fields[j]] = [fields[j] ?? '', fields[i] ?? ''];
  }
  text += head(status, fields) + body;
  if (chance(0.7)) return text;
  if (chance(0.3)) return text.slice(0, below(text.length));
  const at = below(text.length);
  return text.slice(0, at) + String.fromCharCode(below(256)) + text.slice(at + below(2));
}

const shared = new ResponseParserShared({ headBytes: 64 * 1024, fieldCount: 256 });

/** As Meridian reads them, the connection being closed behind them. Undefined: refused. */
function readOurs(octets: Buffer, toHead: boolean): Answer | undefined {
  const parser = new ResponseParser(shared);
  const answer: Answer = { heads: [], body: '', complete: false };
  let at = 0;
  for (;;) {
    const parsed = parser.parse(octets, at, octets.length, toHead);
    if (parsed.kind === 'incomplete') return answer;
    if (parsed.kind === 'refused') return undefined;
    answer.heads.push({ status: parsed.status, fields: parsed.fields });
    at = parsed.end;
    // A connection of its own has to judge those.
    if (parsed.status === 101) return undefined;
    if (parsed.status >= 200) return readBody(octets, parsed, answer);
  }
}

function readBody(octets: Buffer, { framing, contentLength, end }: ParsedResponse, answer: Answer): Answer | undefined {
  const decoder = new ChunkedDecoder(shared.lines, 8192);
  switch (framing) {
    case 'none':
      answer.complete = true;
      return answer;
    case 'close':
    case 'length': {
      const to = framing === 'close' ? octets.length : end + contentLength;
      answer.body = octets.toString('latin1', end, to);
      answer.complete = to <= octets.length;
      return answer;
    }
    case 'chunked':
      for (let at = end; ; ) {
        const outcome = decoder.read(octets, at, octets.length);
        if (outcome.kind === 'refused') return undefined;
        if (outcome.kind === 'incomplete') return answer;
        if (outcome.kind === 'end') {
          answer.complete = true;
          return answer;
        }
        answer.body += octets.toString('latin1', outcome.from, outcome.to);
        at = outcome.to;
      }
  }
}

/** As Node's client does. */
function readNodes(octets: Buffer, toHead: boolean): Promise<Answer> {
  const [ours, theirs] = duplexPair();
  const answer: Answer = { heads: [], body: '', complete: false };
  const done = Promise.withResolvers<Answer>();
  const note = ({ statusCode: status = 0, rawHeaders }: Pick<http.IncomingMessage, 'statusCode' | 'rawHeaders'>) => {
    const fields = rawHeaders.map((text, i) => (i % 2 === 0 ? text.toLowerCase() : text.replace(/[ \t]+$/, '')));
    answer.heads.push({ status, fields });
  };
  const request = http.request({
    method: toHead ? 'HEAD' : 'GET',
    createConnection: () => theirs,
    insecureHTTPParser: false,
    maxHeaderSize: 64 * 1024,
  });
  request.on('information', (info) => note(info as unknown as http.IncomingMessage));
  request.on('response', (response) => {
    note(response);
    response.setEncoding('latin1');
    response.on('data', (data: string) => {
      answer.body += data;
    });
    response.on('error', () => undefined);
    response.on('close', () => {
      answer.complete = response.complete;
      done.resolve(answer);
    });
  });
  request.on('error', () => undefined);
  request.on('close', () => setImmediate(() => done.resolve(answer)));
  for (const end of [ours, theirs]) end.on('error', () => undefined);
  ours.resume();
  request.end();
  ours.end(octets);
  return done.promise;
}

test('what is accepted is what Node reads too', async () => {
  const counts = { answers: 0, complete: 0, refused: 0 };
  for (let bytes = 0; bytes < BYTES; ) {
    const batch = Array.from({ length: AT_ONCE }, () => ({
      octets: Buffer.from(answerText(), 'latin1'),
      toHead: chance(0.15),
    }));
    const theirs = await Promise.all(batch.map(({ octets, toHead }) => readNodes(octets, toHead)));
    for (const [i, { octets, toHead }] of batch.entries()) {
      bytes += octets.length;
      counts.answers += 1;
      const ours = readOurs(octets, toHead);
      if (ours === undefined) counts.refused += 1;
      else {
        if (ours.complete) counts.complete += 1;
        assert.deepEqual(theirs[i], ours, JSON.stringify(octets.toString('latin1')));
      }
    }
  }
  if (process.env.HTTP1_FUZZ_BYTES !== undefined) console.log(counts);
  // The comparison would be empty if the generator made nothing acceptable, or nothing but that.
  assert.ok(counts.complete > counts.answers / 3, JSON.stringify(counts));
  assert.ok(counts.refused > counts.answers / 8, JSON.stringify(counts));
});

test('octets without meaning are refused or incomplete', () => {
  for (let i = 0; i < 5_000; i += 1) {
    const octets = Buffer.from(Array.from({ length: below(200) }, () => below(256)));
    assert.equal(readOurs(octets, false)?.heads.length ?? 0, 0);
  }
});
