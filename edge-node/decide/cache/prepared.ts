// What a thread has made ready of a stored response, for all clients that ask within the same second: Age and the time to live in
// Cache-Status are whole seconds, and everything else stays until the response is replaced. So the fields of an answer, and
// what a connection makes of them, are worked out for the first of these clients and given to the others as they are. Whether
// it may answer at all is judged anew for each of them, elsewhere.
import { type FieldList, field } from '../fields.ts';
import { cacheStatus } from './cache-status.ts';
import type { CacheEntry, StoredHead } from './entry.ts';
import { notModifiedFields } from './validation.ts';

/** An answer that is the same object for every client that gets it. */
export class PreparedAnswer {
  readonly status: number;
  /** Complete, but for what frames the message. */
  readonly fields: FieldList;
  readonly body: Buffer | undefined;
  /** Of the body; undefined where no length is stated. */
  readonly length: number | undefined;
  /** Whether others are to get it too: if not, nothing that is made of it would be used again. */
  readonly kept: boolean;
  /** What HTTP/1.1 made of it. */
  octets: Uint8Array | undefined = undefined;
  /** What HTTP/2 makes of its head. */
  block: string | undefined = undefined;

  constructor(status: number, fields: FieldList, body: Buffer | undefined, length: number | undefined, kept: boolean) {
    this.status = status;
    this.fields = fields;
    this.body = body;
    this.length = length;
    this.kept = kept;
  }
}

/** The answers to be made of one head in one second. */
export class Preparation {
  readonly head: StoredHead;
  /** Seconds, as Age and Cache-Status have them. */
  readonly age: number;
  readonly ttl: number;
  readonly cacheStatus: string;
  /** Whether it is kept with the entry. */
  readonly kept: boolean;
  whole: PreparedAnswer | undefined = undefined;
  unchanged: PreparedAnswer | undefined = undefined;
  /** The last part that was asked for, and what asked for it. */
  part: PreparedAnswer | undefined = undefined;
  range = '';

  constructor(head: StoredHead, age: number, ttl: number, status: string, kept: boolean) {
    this.head = head;
    this.age = age;
    this.ttl = ttl;
    this.cacheStatus = status;
    this.kept = kept;
  }
}

/**
 * Of a hit on `entry`; `ageMs` and `ttlMs` as they are now, `name`: see `cacheName`. From the second hit of a second on it is kept
 * with the entry, and gone with it: to keep what nobody asks for again would cost more than to make it.
 */
export function preparation(entry: CacheEntry, ageMs: number, ttlMs: number, name: string): Preparation {
  const { head } = entry;
  const known = entry.prepared;
  const age = Math.floor(ageMs / 1000);
  const ttl = Math.floor(ttlMs / 1000);
  if (known !== undefined && known.head === head && known.age === age && known.ttl === ttl) return known;
  const kept = entry.askedAt === age;
  entry.askedAt = age;
  const made = new Preparation(head, age, ttl, cacheStatus(name, { kind: 'hit', ttlMs }), kept);
  if (kept) entry.prepared = made;
  return made;
}

/** The whole response. */
export function wholeAnswer(of: Preparation, body: Buffer): PreparedAnswer {
  return new PreparedAnswer(of.head.status, wholeFields(of), body, body.length, of.kept);
}

/** Its fields. */
export function wholeFields(of: Preparation): FieldList {
  const fields = storedFieldsOf(of.head);
  fields.push('age', String(of.age), 'cache-status', of.cacheStatus);
  return fields;
}

/** 304 (RFC 9110 section 15.4.5). */
export function unchangedAnswer(of: Preparation): PreparedAnswer {
  const fields = notModifiedFields(of.head);
  fields.push('age', String(of.age), 'cache-status', of.cacheStatus);
  return new PreparedAnswer(304, fields, undefined, undefined, of.kept);
}

/** A copy of the fields of `head`; parts are to be had of what is stored whole (RFC 9110 section 14.3). */
export function storedFieldsOf(head: StoredHead): string[] {
  const fields = head.fields.slice();
  if (head.status === 200 && field(head.fields, 'accept-ranges') === undefined) fields.push('accept-ranges', 'bytes');
  return fields;
}
