// The one place where an error of a call to the control plane becomes a sentence for people: what, where, what to do.
import { type ServiceError, status } from '@grpc/grpc-js';
import { PROBLEMS_METADATA, type Problem, parseProblems } from '../../proto/problems.ts';
import { clip } from './text.ts';

export function isServiceError(error: unknown): error is ServiceError {
  return error instanceof Error && 'code' in error && typeof error.code === 'number' && 'details' in error;
}

/** What the client library says when the connection, not the control plane, is the matter. */
const NOT_REACHED =
  /^(?:No connection established|Name resolution failed|Connection dropped|Failed to connect|Protocol error|The connection|Stream refused|read E|write E|socket )/i;

/** The handshake did not come to an end, or this side did not like what it saw. */
const TLS_TROUBLE: readonly (readonly [RegExp, string])[] = [
  [/certificate has expired/, 'shows a certificate that has expired; renew it there'],
  [/certificate is not yet valid/, 'shows a certificate that is not valid yet; check the clocks of both machines'],
  [
    /self-signed certificate|unable to (?:get|verify)/,
    'shows a certificate that is not from the authority in --ca; give the ca.crt that came with its certificates',
  ],
  [
    /does not match certificate's altnames/,
    'shows a certificate for another name; dial it by a name in its certificate, or make one for this name ("meridian certs ' +
      '--host")',
  ],
  [/unsuitable certificate purpose/, 'shows a certificate that is not made for control planes'],
  [
    /wrong version number|packet length too long/i,
    'does not speak TLS; leave --ca, --cert and --key out, or start it with certificates',
  ],
];

export function sentenceFor(error: ServiceError, address: string): string {
  const details = clip(error.details, 1000);
  const plane = `the control plane at ${address}`;
  switch (error.code) {
    case status.UNAVAILABLE:
      for (const [pattern, sentence] of TLS_TROUBLE) if (pattern.test(error.details)) return `${plane} ${sentence}`;
      if (!NOT_REACHED.test(error.details)) return `${plane} cannot do that now: ${details}`;
      if (/^(?:Failed to connect|Connection dropped|read ECONNRESET)/.test(error.details.replace(LAST_ERROR, ''))) {
        return `${plane} ends the connection at once: if it uses TLS, give --ca with --cert and --key or a token; its log says more`;
      }
      return (
        `${plane} cannot be reached (${cause(details)}). Is it running? "meridian up" starts one with everything around ` +
        'it, "meridian control-plane" starts one alone; --control-plane HOST:PORT names another.'
      );
    case status.DEADLINE_EXCEEDED:
      return `${plane} did not answer in time. Is that its address for administration, and is its store reachable?`;
    case status.ABORTED:
      return (
        `the configuration was changed by someone else at the same moment (${details}). Nothing was changed here: look ` +
        'at it with "meridian get", then apply again.'
      );
    case status.UNIMPLEMENTED:
      return `${plane} does not know this request: it is of another version than this command, or another program`;
    case status.RESOURCE_EXHAUSTED:
      return `a bound was reached: ${details}`;
    case status.CANCELLED:
      return `${plane} broke the request off: ${details}`;
    case status.INVALID_ARGUMENT:
    case status.NOT_FOUND:
    case status.ALREADY_EXISTS:
    case status.FAILED_PRECONDITION:
    case status.OUT_OF_RANGE:
    case status.PERMISSION_DENIED:
    case status.UNAUTHENTICATED:
      return details;
    default:
      return `${plane} failed: ${details}. Its log says more.`;
  }
}

const LAST_ERROR = /^No connection established\. Last error: (?:Error: )?/;

function cause(details: string): string {
  if (details.includes('ECONNREFUSED')) return 'connection refused';
  if (details.includes('Protocol error')) return 'what listens there is not a control plane';
  if (details.startsWith('Name resolution failed')) return 'no such host';
  const bare = details.replace(LAST_ERROR, '').replace(/ Resolution note:.*$/, '');
  return bare.replace(/ \(\d{4}-\d\d-\d\dT[^)]*\)/, '').replace(/\.$/, '');
}

/** The problems that came with INVALID_ARGUMENT; undefined when the error is another. */
export function problemsOf(error: unknown): Problem[] | undefined {
  if (!isServiceError(error) || error.code !== status.INVALID_ARGUMENT) return undefined;
  const [bytes] = error.metadata.get(PROBLEMS_METADATA);
  const problems = bytes instanceof Buffer ? parseProblems(bytes) : undefined;
  return problems && problems.length > 0 ? problems : undefined;
}
