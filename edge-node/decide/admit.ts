// Whether a request is taken, and what it asks for: method, authority, canonical target (RFC 9110 sections 7.1, 7.2, 9; RFC
// 9112 section 3.2). Framing was settled before, by the parser.
import { canonicalHost, canonicalTarget } from '../../proto/canonical-url.ts';
import { MAX_TARGET } from './compile.ts';
import { type Failure, failure } from './errors.ts';
import { countField, type FieldList, field } from './fields.ts';

export interface RequestHead {
  readonly method: string;
  /** As on the request line. */
  readonly target: string;
  readonly fields: FieldList;
  /** Whether `fields` is the very list of other requests that had the same fields. */
  readonly recurring?: boolean;
  /** The version of HTTP that it was received by. */
  readonly version: '1.0' | '1.1' | '2';
  readonly scheme: 'http' | 'https';
  /** What the connection was made for: the name in the client's TLS greeting (RFC 6066 section 3), in lower case. */
  readonly sni: string | undefined;
  /** Address of the peer of the connection. */
  readonly peer: string;
  /** Whether a body follows (or may follow) the head. */
  readonly hasBody: boolean;
}

export type Admission =
  | {
      readonly kind: 'admitted';
      /** Canonical hostname without a port. */
      readonly host: string;
      /** Hostname, and the port unless it is the scheme's own. */
      readonly authority: string;
      /** Canonical path with query. */
      readonly target: string;
      readonly path: string;
    }
  | { readonly kind: 'refused'; readonly failure: Failure };

export type Admitted = Extract<Admission, { kind: 'admitted' }>;

const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']);
const ABSOLUTE = /^(https?):\/\/([^/?#]*)(.*)$/i;

/** `loopToken`: this edge's own name in CDN-Loop (RFC 8586). */
export function admit(request: RequestHead, loopToken: string): Admission {
  if (!METHODS.has(request.method)) return refuse('method-not-allowed', `method ${request.method.slice(0, 32)}`);
  if (request.target.length > MAX_TARGET) return refuse('target-too-long', `${request.target.length} characters`);
  const hosts = countField(request.fields, 'host');
  if (hosts > 1 || (hosts === 0 && request.version !== '1.0')) return refuse('malformed-host', `${hosts} Host fields`);
  let authority = field(request.fields, 'host') ?? '';
  let target = request.target;
  if (!target.startsWith('/')) {
    // Absolute-form wins over Host (RFC 9112 section 3.2.2).
    const absolute = ABSOLUTE.exec(target);
    if (!absolute) return refuse('malformed-target', 'the target is neither a path nor an absolute URL');
    // It does not excuse a Host that is none (section 3.2).
    const overridden = hosts === 0 ? undefined : parseAuthority(authority);
    if (overridden?.kind === 'malformed') return refuse('malformed-host', overridden.detail);
    authority = absolute[2] ?? '';
    target = absolute[3] === '' ? '/' : (absolute[3] ?? '/');
    if (target.startsWith('?')) target = `/${target}`;
  }
  const host = parseAuthority(authority);
  if (host.kind === 'malformed') return refuse('malformed-host', host.detail);
  // A client that has learned from our address and certificate that one connection would do for two hosts takes 421 as the
  // word to open another for the second (RFC 9113 section 9.1.2), and the certificate, limits and rules of each host hold.
  if (request.sni !== undefined && request.sni !== host.host) {
    return refuse('misdirected', `${host.host} on a connection for ${request.sni}`);
  }
  const canonical = canonicalTarget(target);
  if (canonical.kind === 'malformed') return refuse('malformed-target', canonical.detail);
  if (canonical.target.length > MAX_TARGET) return refuse('target-too-long', 'too long once it is escaped');
  if (hasLooped(request.fields, loopToken)) return refuse('loop', `CDN-Loop has ${loopToken}`);
  const ownPort = host.port === undefined || host.port === (request.scheme === 'https' ? 443 : 80);
  return {
    kind: 'admitted',
    host: host.host,
    authority: ownPort ? host.host : `${host.host}:${host.port}`,
    target: canonical.target,
    path: canonical.path,
  };
}

function refuse(code: Failure['code'], detail: string): Admission {
  return { kind: 'refused', failure: failure(code, detail) };
}

// Few distinct authorities reach an edge; parsing each once keeps a regular expression off the path of a hit.
const parsed = new Map<string, ReturnType<typeof canonicalHost>>();
const PARSED_MAX = 1_000;
/** Characters; what is longer is refused anyway, and not remembered. */
const AUTHORITY_MAX = 300;

function parseAuthority(authority: string): ReturnType<typeof canonicalHost> {
  let result = parsed.get(authority);
  if (result) return result;
  result = canonicalHost(authority);
  if (authority.length > AUTHORITY_MAX) return result;
  if (parsed.size >= PARSED_MAX) parsed.clear();
  parsed.set(authority, result);
  return result;
}

/** RFC 8586: a request that carries our own CDN-Loop token was here before. */
function hasLooped(fields: FieldList, loopToken: string): boolean {
  for (let i = 0; i < fields.length; i += 2) {
    if (fields[i] !== 'cdn-loop') continue;
    for (const member of (fields[i + 1] ?? '').split(',')) {
      if ((member.split(';')[0] ?? '').trim().toLowerCase() === loopToken) return true;
    }
  }
  return false;
}
