// The one place where what went wrong becomes a gRPC status. Stack traces go to the log alone.
import { Metadata, type ServiceError, status } from '@grpc/grpc-js';
import type { Log } from '../../infra/runtime/log.ts';
import { LIMITS } from '../../proto/limits.ts';
import { formatProblem, PROBLEMS_METADATA, type Problem } from '../../proto/problems.ts';
import { StoreError } from '../ports.ts';

/** A request that is answered with a status other than OK. */
export class Refusal extends Error {
  override readonly name = 'Refusal';
  readonly code: status;
  readonly problems: readonly Problem[];

  /** `message`: a sentence for people. */
  constructor(code: status, message: string, problems: readonly Problem[] = []) {
    super(message);
    this.code = code;
    this.problems = problems;
  }
}

/** Of a status message, characters. It travels in a header, as do the problems: clients accept some 16 KiB of these. */
const MESSAGE_CHARACTERS = 1000;
const PROBLEMS_BYTES = 10_000;
const PROBLEM_CHARACTERS = 500;

export function toServiceError(error: unknown, log: Log): ServiceError {
  if (error instanceof Refusal) return serviceError(error.code, error.message, packProblems(error.problems));
  if (error instanceof StoreError) {
    switch (error.kind) {
      case 'unavailable':
        return serviceError(status.UNAVAILABLE, error.message);
      case 'too-large':
        return serviceError(status.RESOURCE_EXHAUSTED, `nothing was changed: ${error.message}`);
      case 'unusable':
        return serviceError(status.FAILED_PRECONDITION, error.message);
    }
  }
  log.error({ err: error }, 'a request failed in a way that it should not');
  return serviceError(status.INTERNAL, 'internal error; the log of the control plane says more');
}

export function serviceError(code: status, message: string, metadata = new Metadata()): ServiceError {
  const details = clip(message, MESSAGE_CHARACTERS);
  return Object.assign(new Error(details), { code, details, metadata });
}

/** Nothing changed, because the result would be inconsistent. */
export function inconsistent(problems: readonly Problem[]): Refusal {
  const [first] = problems;
  const count = problems.length >= LIMITS.problems ? `${LIMITS.problems} or more` : String(problems.length);
  const more = problems.length > 1 ? ` (the first of ${count} problems)` : '';
  const detail = first ? formatProblem(clipProblem(first)) : 'the configuration is inconsistent';
  return new Refusal(status.INVALID_ARGUMENT, `nothing was changed: ${detail}${more}`, problems);
}

/** What a user put into it cut to a length that people read. */
function clipProblem({ kind, name, path, message }: Problem): Problem {
  return { kind, name: clip(name, LIMITS.nameLength + 1), path, message: clip(message, PROBLEM_CHARACTERS) };
}

/** As many as fit. */
function packProblems(problems: readonly Problem[]): Metadata {
  const metadata = new Metadata();
  const packed: Problem[] = [];
  let bytes = 2;
  for (const problem of problems.map(clipProblem)) {
    bytes += Buffer.byteLength(JSON.stringify(problem)) + 1;
    if (bytes > PROBLEMS_BYTES) break;
    packed.push(problem);
  }
  if (packed.length > 0) metadata.set(PROBLEMS_METADATA, Buffer.from(JSON.stringify(packed)));
  return metadata;
}

/** Well-formed, since half of a surrogate pair cannot be put into a header. */
function clip(text: string, characters: number): string {
  return (text.length > characters ? `${text.slice(0, characters - 1)}…` : text).toWellFormed();
}
