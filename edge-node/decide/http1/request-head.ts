// The head of an HTTP/1.1 request, to text that is written octet for octet (latin1), from what an origin is asked (RFC 9112
// sections 3, 5 and 6). Everything is checked here, last before the wire: a target or a value that could end a line would let
// it write another request.
import { FieldMemo } from '../field-memo.ts';
import type { FieldList } from '../fields.ts';
import { TARGET } from './octets.ts';
import { isFieldValue, isToken } from './response-head.ts';

export interface RequestLines {
  readonly method: string;
  /** In origin-form, or "*". */
  readonly target: string;
  /** Names in lower case, Host among them. Those that frame the message or speak of the connection are left out. */
  readonly fields: FieldList;
  /** Octets of the body; "chunked": not known; "none": there is no body. */
  readonly body: number | 'chunked' | 'none';
  /** The client waits for 100 (Continue), and so does this edge then (RFC 9110 section 10.1.1). */
  readonly expectsContinue: boolean;
  /** The client takes trailers (RFC 9110 section 10.1.4). */
  readonly trailers: boolean;
  /** The protocol to switch to. */
  readonly upgrade: string | undefined;
}

export type RequestText =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'malformed'; readonly detail: string };

export function requestText(request: RequestLines): RequestText {
  const { method, target, fields, body } = request;
  if (!isToken(method) || !isTarget(target)) return { kind: 'malformed', detail: 'a method or target cannot be sent' };
  let lines = known.find(fields);
  if (lines === undefined) {
    lines = fieldLines(fields);
    known.keep(fields, lines);
  }
  if (lines.kind === 'malformed') return lines;
  let text = `${method} ${target} HTTP/1.1\r\n${lines.text}`;
  if (request.upgrade !== undefined) text += `connection: upgrade\r\nupgrade: ${request.upgrade}\r\n`;
  else if (request.trailers) text += 'te: trailers\r\nconnection: te\r\n';
  if (request.expectsContinue) text += 'expect: 100-continue\r\n';
  if (body === 'chunked') text += 'transfer-encoding: chunked\r\n';
  else if (body !== 'none') text += `content-length: ${body}\r\n`;
  // RFC 9110 section 8.6: where a method has a meaning for a body, its absence is said.
  else if (method === 'POST' || method === 'PUT' || method === 'PATCH') text += 'content-length: 0\r\n';
  return { kind: 'text', text: `${text}\r\n` };
}

const known = new FieldMemo<RequestText>();

function fieldLines(fields: FieldList): RequestText {
  let text = '';
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i] ?? '';
    const value = fields[i + 1] ?? '';
    if (isOwn(name)) continue;
    if (!isToken(name) || !isFieldValue(value)) {
      return { kind: 'malformed', detail: `field "${name.slice(0, 64)}" cannot be sent` };
    }
    text += `${name}: ${value}\r\n`;
  }
  return { kind: 'text', text };
}

function isOwn(name: string): boolean {
  switch (name) {
    case 'connection':
    case 'content-length':
    case 'expect':
    case 'keep-alive':
    case 'te':
    case 'transfer-encoding':
    case 'upgrade':
      return true;
    default:
      return false;
  }
}

function isTarget(target: string): boolean {
  for (let i = 0; i < target.length; i += 1) {
    const unit = target.charCodeAt(i);
    if (unit >= TARGET.length || TARGET[unit] !== 1) return false;
  }
  return target.startsWith('/') || target === '*';
}
