// What a frame means by the state of its stream (RFC 9113 section 5.1), as a table. Frames on the connection and those that mean the
// same in every state (PRIORITY) are not in it.
import { FRAME } from './codes.ts';

/**
 * "idle": not used yet. "open": more of the request is to come. "half-closed": the request is complete, the answer is not. "closed":
 * both are, or the client reset it. "dropped": we reset it not long ago, so that what was on its way may still come.
 */
export type StreamState = 'idle' | 'open' | 'half-closed' | 'closed' | 'dropped';

/**
 * "take": it has its meaning. "ignore": it comes too late. "stream-closed": a stream error of that name. "protocol-error": an error
 * of the connection.
 */
export type Verdict = 'take' | 'ignore' | 'stream-closed' | 'protocol-error';

const CONTENT: Readonly<Record<StreamState, Verdict>> = {
  idle: 'protocol-error',
  open: 'take',
  'half-closed': 'stream-closed',
  closed: 'stream-closed',
  dropped: 'ignore',
};

const CONTROL: Readonly<Record<StreamState, Verdict>> = {
  idle: 'protocol-error',
  open: 'take',
  'half-closed': 'take',
  closed: 'ignore',
  dropped: 'ignore',
};

/** HEADERS on an idle stream is a new request. */
export function judgeFrame(
  type: typeof FRAME.data | typeof FRAME.headers | typeof FRAME.rstStream | typeof FRAME.windowUpdate,
  state: StreamState,
): Verdict {
  if (type === FRAME.headers && state === 'idle') return 'take';
  return type === FRAME.data || type === FRAME.headers ? CONTENT[state] : CONTROL[state];
}
