// The two ends of a request, doing what a test says: a client that records what it is sent, and an origin's call that the
// test answers.
import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import type { RequestHead } from '../../edge-node/decide/admit.ts';
import { type FieldList, field } from '../../edge-node/decide/fields.ts';
import type { OriginFailure } from '../../edge-node/decide/retry.ts';
import type { ClientPort, OriginCall, OriginHandler, OriginRequest, RequestBody } from '../../edge-node/ports.ts';

export interface RequestOptions extends Partial<Pick<RequestHead, 'method' | 'target' | 'version' | 'peer'>> {
  readonly host?: string;
  /** After Host. */
  readonly fields?: FieldList;
  readonly body?: RequestBody;
}

/** Records what it is sent. */
export class FakeClient implements ClientPort {
  readonly request: RequestHead;
  readonly body: RequestBody | undefined;
  readonly informed: number[] = [];
  status = 0;
  fields: FieldList = [];
  /** As announced. */
  length: number | undefined;
  text = '';
  trailers: FieldList = [];
  /** `open` until the answer is complete or broken off. */
  state: 'open' | 'ended' | 'aborted' = 'open';
  /** Takes no more for now: `write` says so. */
  slow = false;
  onDrain: (() => void) | undefined = undefined;
  onGone: (() => void) | undefined = undefined;
  #begun = false;

  constructor({ body, host = 'demo.example', fields = [], ...head }: RequestOptions) {
    this.body = body;
    this.request = {
      method: 'GET',
      target: '/',
      version: '1.1',
      scheme: 'http',
      sni: undefined,
      peer: '192.0.2.1',
      hasBody: body !== undefined,
      fields: ['host', host, ...fields],
      ...head,
    };
  }

  answer(status: number, fields: FieldList, body: Buffer | undefined, length: number | undefined): void {
    this.begin(status, fields, length);
    if (this.request.method !== 'HEAD') this.text = body?.toString() ?? '';
    this.state = 'ended';
  }

  inform(status: number): void {
    assert.ok(!this.#begun, 'an informational answer after the final one');
    this.informed.push(status);
  }

  begin(status: number, fields: FieldList, length: number | undefined): void {
    assert.ok(!this.#begun, 'a second answer');
    this.#begun = true;
    Object.assign(this, { status, fields, length });
  }

  write(chunk: Uint8Array): boolean {
    assert.ok(this.#begun && this.state === 'open', 'a body without a head');
    this.text += Buffer.from(chunk).toString();
    return !this.slow;
  }

  end(trailers: FieldList = []): void {
    assert.ok(this.#begun && this.state === 'open', 'the end of nothing');
    this.trailers = trailers;
    this.state = 'ended';
  }

  switchProtocols(protocol: string, fields: FieldList): RequestBody {
    this.begin(101, fields, undefined);
    this.protocol = protocol;
    return { length: undefined, consumed: false, chunks: () => this.sends };
  }
  /** What the connection was switched to. */
  protocol: string | undefined;
  /** What it sends once it has been. */
  sends: AsyncIterable<Uint8Array> = Readable.from([]);

  abort(): void {
    this.state = 'aborted';
  }

  /** Can take more again. */
  drain(): void {
    this.slow = false;
    this.onDrain?.();
  }

  /** The connection is lost. */
  leave(): void {
    this.onGone?.();
  }

  /** What Cache-Status says after the cache's name. */
  get cache(): string | undefined {
    return field(this.fields, 'cache-status')?.replace('meridian-edge-1; ', '');
  }

  field(name: string): string | undefined {
    return field(this.fields, name);
  }
}

/** One request that reached an origin, and what the origin does about it. */
export class FakeCall implements OriginCall {
  readonly origin: string;
  readonly request: OriginRequest;
  readonly #handler: OriginHandler;
  paused = false;
  aborted = false;

  constructor(origin: string, request: OriginRequest, handler: OriginHandler) {
    this.origin = origin;
    this.request = request;
    this.#handler = handler;
  }

  field(name: string): string | undefined {
    return field(this.request.fields, name);
  }

  inform(status: number): void {
    if (!this.aborted) this.#handler.onInformation(status, []);
  }

  head(status: number, fields: FieldList = []): this {
    if (!this.aborted) this.#handler.onHead(status, fields);
    return this;
  }

  /** The origin switches protocols. What the client sends from then on. */
  switch(fields: FieldList = []): RequestBody | undefined {
    return this.aborted ? undefined : this.#handler.onSwitch?.(fields);
  }

  data(text: string): this {
    if (!this.aborted) this.#handler.onData(Buffer.from(text));
    return this;
  }

  end(trailers: FieldList = []): void {
    if (!this.aborted) this.#handler.onEnd(trailers);
  }

  /** A whole answer: fresh for a minute unless `fields` say otherwise. */
  answer(status: number, text: string, fields: FieldList = ['cache-control', 'max-age=60']): void {
    this.head(status, fields).data(text).end();
  }

  /** `stale`: on a connection that had stood idle. */
  fail(phase: OriginFailure['phase'], code: OriginFailure['code'] = 'origin-unreachable', stale = false): void {
    const detail = `${code} at http://10.9.8.7:6543 (secret-software)`;
    if (!this.aborted) this.#handler.onFailure({ phase, code, detail, stale });
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
  }

  abort(): void {
    this.aborted = true;
  }
}
