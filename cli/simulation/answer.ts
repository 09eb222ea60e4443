// What an answer says about where it came from: its status, Cache-Status (RFC 9211), the field by which an origin names itself,
// and the edge's own word (Meridian-Debug) where it was asked for. Pure.
import { clip } from '../output/text.ts';

export interface Answer {
  readonly status: number;
  /** Names in lower case. */
  readonly fields: Readonly<Record<string, string | undefined>>;
  /** From when it was sent to when all of it was there, milliseconds. */
  readonly elapsedMs: number;
}

export interface Reading {
  /** Why it counts as failed: `status 502`. Undefined: it does not. */
  readonly failure: string | undefined;
  readonly hit: boolean;
  /** The origin that was asked for this answer; undefined: none was, or nobody says which. */
  readonly origin: string | undefined;
  /** Whom the edge took the client to be, where it says so. */
  readonly client: string | undefined;
  /** The edge that answered, by the name of its cache; undefined: it is none of ours, or something stands before it. */
  readonly edge: string | undefined;
}

/** A text of a structured field: may hold what else would separate. */
const QUOTED = /"(?:[^"\\]|\\.)*"/g;

/** `originField`: in lower case. */
export function readAnswer({ status, fields }: Answer, originField: string): Reading {
  // Each cache on the way appends its member: the last is the one nearest to the client.
  const member = fields['cache-status']?.replace(QUOTED, '""').split(',').at(-1) ?? '';
  const hit = /;\s*hit\b/.test(member);
  const debug = fields['meridian-debug'];
  // Of what comes from the cache, or by another's request, the field names the origin that was asked then.
  const own = !hit && !/;\s*collapsed\b/.test(member) && status < 400;
  const said = own ? fields[originField] : undefined;
  const origin = debug === undefined ? said : debugMember(debug, 'origin');
  const failure = status >= 400 ? `status ${status}` : undefined;
  return {
    failure,
    hit: hit && failure === undefined,
    origin: origin === undefined || origin === '' ? undefined : clip(origin),
    client: debug === undefined ? undefined : debugMember(debug, 'client'),
    edge: /^\s*meridian-([a-z0-9-]+)/.exec(member)?.[1],
  };
}

/** A text of the dictionary; undefined when it has none of that name. */
function debugMember(debug: string, name: string): string | undefined {
  for (const [, key, value] of debug.matchAll(/(?:^|,\s*)([a-z-]+)=(?:"((?:[^"\\]|\\.)*)"|[^,"]*)/g)) {
    if (key === name) return value;
  }
  return undefined;
}
