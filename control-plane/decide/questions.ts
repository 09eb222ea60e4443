// What replicas ask each other, since an edge can be asked by the replica that has its stream alone. A question is a key under
// the asker's lease; every replica that has edges that it is meant for writes one key with all their answers; the asker deletes
// the question, whereupon they delete their answers.
//
//   /meridian-live/ASKER/ask/ID              {"explain": {url, ip, edge}, "ms"} | {"count": [TARGET..], "ms"}
//   /meridian-live/REPLICA/answer/ASKER-ID   {"explanations": [EXPLANATION..]} | {"counts": {EDGE: [OBJECTS, BYTES]..}}
import { Explanation } from '../../proto/gen/meridian/v1/explain.ts';
import { PurgeTarget } from '../../proto/gen/meridian/v1/purge.ts';
import { isObject, LIVE_PREFIX, pair, parse } from './peers.ts';

export type Question =
  /** `edge`: empty for all. */
  | { readonly kind: 'explain'; readonly url: string; readonly ip: string; readonly edge: string }
  | { readonly kind: 'count'; readonly targets: readonly PurgeTarget[] };

export type Answers =
  | { readonly kind: 'explain'; readonly explanations: readonly Explanation[] }
  /** By edge. */
  | { readonly kind: 'count'; readonly counts: ReadonlyMap<string, Reach> };

export interface Reach {
  readonly objects: number;
  readonly bytes: number;
}

export interface AskId {
  readonly asker: string;
  readonly id: number;
}

export const askKey = ({ asker, id }: AskId): string => `${LIVE_PREFIX}${asker}/ask/${id}`;

export const answerKey = (replica: string, { asker, id }: AskId): string =>
  `${LIVE_PREFIX}${replica}/answer/${asker}-${id}`;

export type QuestionKey = AskId &
  ({ readonly kind: 'ask' } | { readonly kind: 'answer' /** Who answers. */; readonly replica: string });

export function parseQuestionKey(key: string): QuestionKey | undefined {
  if (!key.startsWith(LIVE_PREFIX)) return undefined;
  const [replica = '', part, name = '', more] = key.slice(LIVE_PREFIX.length).split('/');
  if (replica === '' || more !== undefined) return undefined;
  if (part === 'ask' && /^\d{1,15}$/.test(name)) return { kind: 'ask', asker: replica, id: Number(name) };
  const [, asker, id] = /^([^-]+)-(\d{1,15})$/.exec(part === 'answer' ? name : '') ?? [];
  return asker === undefined ? undefined : { kind: 'answer', replica, asker, id: Number(id) };
}

/** `ms`: for the edges to answer. */
export function encodeQuestion(question: Question, ms: number): string {
  if (question.kind === 'count') return JSON.stringify({ count: question.targets.map(PurgeTarget.toJSON), ms });
  const { url, ip, edge } = question;
  return JSON.stringify({ explain: { url, ip, edge }, ms });
}

/** Undefined for what no replica of this release wrote. */
export function decodeQuestion(text: string): { readonly question: Question; readonly ms: number } | undefined {
  const json = parse(text);
  const ms = json?.ms;
  if (typeof ms !== 'number' || !(ms > 0)) return undefined;
  if (Array.isArray(json?.count)) {
    return { question: { kind: 'count', targets: json.count.map((target) => PurgeTarget.fromJSON(target)) }, ms };
  }
  if (!isObject(json?.explain)) return undefined;
  const { url, ip, edge } = json.explain;
  if (typeof url !== 'string' || typeof ip !== 'string' || typeof edge !== 'string') return undefined;
  return { question: { kind: 'explain', url, ip, edge }, ms };
}

/** Explanations that would make the answer longer than `characters` are left out, the last first. */
export function encodeAnswers(answers: Answers, characters: number): string {
  if (answers.kind === 'count') {
    const counts = [...answers.counts].map(([edge, { objects, bytes }]) => [edge, [objects, bytes]]);
    return JSON.stringify({ counts: Object.fromEntries(counts) });
  }
  let left = characters;
  const texts: string[] = [];
  for (const explanation of answers.explanations) {
    const text = JSON.stringify(Explanation.toJSON(explanation));
    left -= text.length;
    if (left < 0) break;
    texts.push(text);
  }
  return `{"explanations":[${texts.join()}]}`;
}

/** Undefined for what no replica of this release wrote. */
export function decodeAnswers(text: string): Answers | undefined {
  const json = parse(text);
  if (Array.isArray(json?.explanations)) {
    return { kind: 'explain', explanations: json.explanations.map((each) => Explanation.fromJSON(each)) };
  }
  if (!isObject(json?.counts)) return undefined;
  const counts = new Map<string, Reach>();
  for (const [edge, value] of Object.entries(json.counts)) {
    const reach = pair(value);
    if (reach) counts.set(edge, { objects: reach[0], bytes: reach[1] });
  }
  return { kind: 'count', counts };
}
