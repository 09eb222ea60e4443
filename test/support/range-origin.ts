// An origin that has one object and gives parts of it, for tests that drive its answers by hand.
import { type FieldList, field } from '../../edge-node/decide/fields.ts';
import type { FakeCall } from './fake-ports.ts';

export interface RangeObject {
  readonly body: string;
  /** Undefined: none. */
  readonly etag: string | undefined;
  /** Besides the validator and what frames the body. */
  readonly fields?: FieldList;
}

/** What it says to a request with these fields: RFC 9110 sections 13.2.2 and 14.2; of several ranges all. */
export function rangeAnswer(
  object: RangeObject,
  request: FieldList,
  method = 'GET',
): { readonly status: number; readonly fields: string[]; readonly body: string } {
  const { body, etag, fields = ['cache-control', 'max-age=60'] } = object;
  const common = [...fields, 'accept-ranges', 'bytes', ...(etag === undefined ? [] : ['etag', etag])];
  if (etag !== undefined && field(request, 'if-none-match') === etag) return { status: 304, fields: common, body: '' };
  const ifRange = field(request, 'if-range') ?? etag;
  const one = method === 'GET' && ifRange === etag ? field(request, 'range')?.match(/^bytes=(\d*)-(\d*)$/) : undefined;
  if (!one) return { status: 200, fields: [...common, 'content-length', String(body.length)], body };
  const [, first = '', last = ''] = one;
  const from = first === '' ? Math.max(0, body.length - Number(last)) : Number(first);
  const to = first === '' || last === '' ? body.length : Math.min(body.length, Number(last) + 1);
  if (from >= body.length) return { status: 416, fields: ['content-range', `bytes */${body.length}`], body: '' };
  const part = ['content-range', `bytes ${from}-${to - 1}/${body.length}`, 'content-length', String(to - from)];
  return { status: 206, fields: [...common, ...part], body: body.slice(from, to) };
}

/** Answers `call` whole. */
export function serve(call: FakeCall, object: RangeObject): void {
  const { status, fields, body } = rangeAnswer(object, call.request.fields, call.request.method);
  call.head(status, fields);
  if (body !== '') call.data(body);
  call.end();
}

/** Answers calls bit by bit. */
export class Dribble {
  /** Of each answer that has begun, the body that is left; undefined: it is over. */
  readonly #left = new Map<FakeCall, string | undefined>();

  /** Whether there is anything to be done about `call`. */
  isOpen(call: FakeCall): boolean {
    return !call.aborted && !(this.#left.has(call) && this.#left.get(call) === undefined);
  }

  /** The head of the answer, some `bytes` of its body, or the end. */
  step(call: FakeCall, object: RangeObject, bytes: number): void {
    if (!this.#left.has(call)) {
      const { status, fields, body } = rangeAnswer(object, call.request.fields, call.request.method);
      this.#left.set(call, call.request.method === 'HEAD' ? '' : body);
      call.head(status, fields);
      return;
    }
    const left = this.#left.get(call) ?? '';
    this.#left.set(call, left === '' ? undefined : left.slice(bytes));
    if (left === '') call.end();
    else call.data(left.slice(0, bytes));
  }

  /** The origin breaks off, or cannot be reached. */
  fail(call: FakeCall): void {
    const begun = this.#left.has(call);
    this.#left.set(call, undefined);
    call.fail(begun ? 'body' : 'connect', begun ? 'origin-cut-off' : 'origin-unreachable');
  }
}
