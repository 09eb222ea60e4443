// Every way in which a request can fail, as one typed value, and the one place that turns it into a response. What happened
// at an origin goes to the log; a client learns no more than the code (RFC 9457 problem details).

/** Who is at fault. */
export type FailureSource = 'client' | 'edge' | 'origin' | 'control';

interface FailureKind {
  readonly status: number;
  readonly source: FailureSource;
  /** Whether the same request may succeed if it is sent again. */
  readonly retryable: boolean;
  /** What a client is told: a sentence without anything about origins. */
  readonly title: string;
}

/** Stable codes. They stand in responses, access logs, metrics and explanations. */
export const FAILURES = {
  'malformed-request': { status: 400, source: 'client', retryable: false, title: 'The request is malformed.' },
  'malformed-target': { status: 400, source: 'client', retryable: false, title: 'The URL is malformed or ambiguous.' },
  'malformed-host': {
    status: 400,
    source: 'client',
    retryable: false,
    title: 'The Host field is missing or malformed.',
  },
  'request-timeout': { status: 408, source: 'client', retryable: true, title: 'The request did not arrive in time.' },
  'fields-too-large': { status: 431, source: 'client', retryable: false, title: 'The header section is too large.' },
  'target-too-long': { status: 414, source: 'client', retryable: false, title: 'The URL is too long.' },
  'method-not-allowed': { status: 405, source: 'client', retryable: false, title: 'This method is not supported.' },
  'method-unknown': { status: 501, source: 'client', retryable: false, title: 'This method is not known here.' },
  'version-unsupported': {
    status: 505,
    source: 'client',
    retryable: false,
    title: 'This version of HTTP is not spoken here.',
  },
  'expectation-failed': { status: 417, source: 'client', retryable: false, title: 'The expectation cannot be met.' },
  misdirected: { status: 421, source: 'client', retryable: true, title: 'This connection is for another hostname.' },
  'unknown-host': { status: 421, source: 'client', retryable: false, title: 'No site here has this hostname.' },
  'no-route': { status: 404, source: 'client', retryable: false, title: 'No route of this site covers this path.' },
  loop: { status: 508, source: 'client', retryable: false, title: 'The request has passed through this edge already.' },
  'not-cached': {
    status: 504,
    source: 'client',
    retryable: false,
    title: 'Not in the cache, and only-if-cached was asked.',
  },
  'no-configuration': { status: 503, source: 'control', retryable: true, title: 'This edge has no configuration yet.' },
  'origin-unreachable': { status: 502, source: 'origin', retryable: true, title: 'The origin could not be reached.' },
  'origin-busy': { status: 503, source: 'origin', retryable: true, title: 'Too many requests wait for the origin.' },
  'origin-timeout': { status: 504, source: 'origin', retryable: true, title: 'The origin did not answer in time.' },
  'origin-malformed': { status: 502, source: 'origin', retryable: true, title: 'The origin gave an invalid answer.' },
  'origin-cut-off': { status: 502, source: 'origin', retryable: true, title: 'The origin broke off.' },
  internal: { status: 500, source: 'edge', retryable: false, title: 'The edge failed.' },
} as const satisfies Readonly<Record<string, FailureKind>>;

export type FailureCode = keyof typeof FAILURES;

export interface Failure {
  readonly code: FailureCode;
  /** For the log and for explanations; never for a client. */
  readonly detail: string;
}

export function failure(code: FailureCode, detail: string): Failure {
  return { code, detail };
}

export interface FailureResponse {
  readonly status: number;
  readonly fields: readonly string[];
  readonly body: string;
}

/** The response to a failure: problem details in JSON, not to be stored, and nothing of `detail`. */
export function failureResponse(code: FailureCode): FailureResponse {
  const kind = FAILURES[code];
  const body = `${JSON.stringify({ status: kind.status, code, title: kind.title })}\n`;
  const fields = ['content-type', 'application/problem+json', 'cache-control', 'no-store'];
  if (code === 'method-not-allowed') fields.push('allow', 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS');
  return { status: kind.status, fields, body };
}
