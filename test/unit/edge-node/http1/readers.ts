// The messages that a connection's octets hold, as Meridian reads them and as Node's own parser in its strict mode does.
import http from 'node:http';
import { type Duplex, duplexPair } from 'node:stream';
import { ChunkedDecoder } from '../../../../edge-node/decide/http1/chunked.ts';
import { type ParsedRequest, ParserShared, RequestParser } from '../../../../edge-node/decide/http1/request-parser.ts';

export interface Message {
  readonly method: string;
  readonly target: string;
  readonly minor: number;
  readonly fields: readonly string[];
  /** What there was of it, latin1. */
  body: string;
  complete: boolean;
}

export interface Reading {
  readonly messages: readonly Message[];
  /** "closed": the last message ends the connection. "upgrade": what follows it depends on the answer. */
  readonly end: 'refused' | 'incomplete' | 'closed' | 'upgrade' | 'exhausted';
  readonly reason: string;
}

const LIMITS = { headBytes: 32 * 1024, fieldCount: 128, targetBytes: 8192 };
const shared = new ParserShared(LIMITS);

/** As Meridian reads them. */
export function readOurs(octets: Buffer): Reading {
  const parser = new RequestParser(shared);
  const messages: Message[] = [];
  let at = 0;
  while (at < octets.length) {
    const head = parser.parse(octets, at, octets.length);
    if (head.kind === 'incomplete') return { messages, end: 'incomplete', reason: 'head' };
    if (head.kind === 'refused') return { messages, end: 'refused', reason: head.reason };
    const { method, target, minor, fields } = head;
    const message: Message = { method, target, minor, fields, body: '', complete: false };
    messages.push(message);
    const next = readBody(octets, head, message);
    if (typeof next !== 'number') return { messages, ...next };
    message.complete = true;
    at = next;
    if (!head.keepAlive) return { messages, end: 'closed', reason: '' };
    if (asksForUpgrade(fields)) return { messages, end: 'upgrade', reason: '' };
  }
  return { messages, end: 'exhausted', reason: '' };
}

/** In any version: Node's parser stops there even where the field is to be ignored. */
function asksForUpgrade(fields: readonly string[]): boolean {
  const named = fields.some((value, i) => fields[i - 1] === 'connection' && /upgrade/i.test(value));
  return named && fields.includes('upgrade');
}

function readBody(octets: Buffer, head: ParsedRequest, message: Message): number | Pick<Reading, 'end' | 'reason'> {
  if (head.framing !== 'chunked') {
    const end = head.end + head.contentLength;
    message.body = octets.toString('latin1', head.end, Math.min(end, octets.length));
    return end <= octets.length ? end : { end: 'incomplete', reason: 'body' };
  }
  const decoder = new ChunkedDecoder(shared.lines, 8192);
  let at = head.end;
  for (;;) {
    const outcome = decoder.read(octets, at, octets.length);
    switch (outcome.kind) {
      case 'data':
        message.body += octets.toString('latin1', outcome.from, outcome.to);
        at = outcome.to;
        break;
      case 'incomplete':
        return { end: 'incomplete', reason: 'body' };
      case 'refused':
        return { end: 'refused', reason: outcome.reason };
      case 'end':
        return outcome.next;
    }
  }
}

/** As Node's server reads them, its strict mode on: connections are handed to it in memory. */
export class NodeReader {
  readonly #messages = new Map<Duplex, { message: Message; request: http.IncomingMessage }[]>();
  readonly #server = http.createServer({ maxHeaderSize: 64 * 1024, insecureHTTPParser: false, keepAliveTimeout: 0 });

  constructor() {
    this.#server.maxHeadersCount = 0;
    // Not at once: the messages before the fault are still on their way to those who read them.
    this.#server.on('clientError', (_error, socket) => setImmediate(() => socket.destroy()));
    this.#server.on('connect', (_request, socket) => socket.destroy());
    this.#server.on('request', (request, response) => {
      const fields: string[] = [];
      for (let i = 0; i < request.rawHeaders.length; i += 2) {
        const name = (request.rawHeaders[i] ?? '').toLowerCase();
        if (!name.includes('_')) fields.push(name, (request.rawHeaders[i + 1] ?? '').replace(/[ \t]+$/, ''));
      }
      const { method = '', url: target = '', httpVersionMinor: minor } = request;
      const message: Message = { method, target, minor, fields, body: '', complete: false };
      this.#messages.get(request.socket)?.push({ message, request });
      request.setEncoding('latin1');
      request.on('data', (data: string) => {
        message.body += data;
      });
      request.on('error', () => undefined);
      request.on('end', () => response.end());
    });
  }

  read(octets: Buffer): Promise<readonly Message[]> {
    const [ours, theirs] = duplexPair();
    const messages: { message: Message; request: http.IncomingMessage }[] = [];
    this.#messages.set(theirs, messages);
    const done = Promise.withResolvers<readonly Message[]>();
    theirs.on('error', () => undefined);
    ours.on('error', () => undefined);
    ours.resume();
    theirs.on('close', () => {
      this.#messages.delete(theirs);
      ours.destroy();
      done.resolve(messages.map(({ message, request }) => ({ ...message, complete: request.complete })));
    });
    this.#server.emit('connection', theirs);
    ours.end(octets);
    return done.promise;
  }
}
