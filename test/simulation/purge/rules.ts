// The rules that keep a purge from lying, each with a way to break it. A history runs with all rules kept, or with one broken,
// which the checker must then find.

export const RULES = {
  'raise-before-ack': 'an edge raises its barrier before it acknowledges',
  'note-at-send': 'a fill carries the barrier as it stood when the request to the origin was sent',
  'note-at-send-of-refresh': 'a 304 refresh carries the barrier as it stood when its request was sent',
  'join-none-from-before': 'a request does not join a fill from before the barrier',
  'no-gaps': 'an edge takes no batch that does not follow what it has applied',
  'reset-purges-all': 'an edge that is reset treats everything that it holds as purged',
  'reset-when-too-short': 'an edge that the log does not reach back to is reset',
  'compare-head': 'a purge is written only if no other was written since it was planned',
  'compare-epoch': 'nothing that was planned before a restore is written after it',
  'new-epoch-after-restore': 'a restored store begins a new epoch',
  'never-forget': 'a record of a purge that has to go folds into a coarser one',
  'soft-is-stale': 'what was purged softly is validated before it is served as fresh',
  'marks-are-acks': 'a replica tells others what edges acknowledged, not what it sent them',
  'never-backwards': 'an edge applies no version that is not newer than its own',
  'parked-not-resent': 'a version that an edge refused is not sent to it again',
} as const;

export type Rule = keyof typeof RULES;

/** What a history found, in words; thrown. */
export class Violation extends Error {
  override readonly name = 'Violation';
}
