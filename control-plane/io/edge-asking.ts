// Asks edges, wherever their streams are: those of this replica over the stream, those of others by way of the replica that has
// them (decide/questions.ts says in which words), and answers what the others ask.
import type { Clock } from '../../infra/runtime/clock.ts';
import type { Log } from '../../infra/runtime/log.ts';
import type { Explanation } from '../../proto/gen/meridian/v1/explain.ts';
import type { PurgeTarget } from '../../proto/gen/meridian/v1/purge.ts';
import type { Operation } from '../decide/keys.ts';
import {
  type Answers,
  type AskId,
  answerKey,
  askKey,
  decodeAnswers,
  decodeQuestion,
  encodeAnswers,
  encodeQuestion,
  parseQuestionKey,
  type Question,
  type Reach,
} from '../decide/questions.ts';
import type { Store } from '../ports.ts';
import type { Fleet } from './fleet.ts';
import type { Peers } from './peers.ts';

export interface EdgeAskingPorts {
  readonly store: Store;
  readonly fleet: Fleet;
  readonly peers: Peers;
  readonly clock: Clock;
  readonly log: Log;
}

/** Beyond what edges have, for question and answer to go through the store, milliseconds. */
const WAY_MS = 1000;
/** What edges are given to answer others, at most, milliseconds. */
const ASKED_MS = 60_000;
/** Questions of this replica to others, and of others to this one, at the same time. */
const OPEN = 16;
const ANSWERING = 64;
/** Of one answer to another replica; etcd takes 1.5 MiB. */
const ANSWER_CHARACTERS = 1024 * 1024;

interface Open {
  /** Replicas that have yet to answer. */
  readonly waiting: Set<string>;
  readonly hear: (answers: Answers) => void;
  readonly done: () => void;
}

export class EdgeAsking {
  readonly #ports: EdgeAskingPorts;
  readonly #open = new Map<number, Open>();
  /** Questions of others that this replica is to answer, by key, and whether the answer is written. */
  readonly #answering = new Map<string, { written: boolean }>();
  #last = 0;

  constructor(ports: EdgeAskingPorts) {
    this.#ports = ports;
    ports.peers.onEvent((event) => this.#heard(event));
  }

  /** Those of `edges` that explained within `ms` milliseconds. `edge`: the one that is meant; empty for all of them. */
  async explain(
    edges: readonly string[],
    { url, ip, edge }: { readonly url: string; readonly ip: string; readonly edge: string },
    ms: number,
  ): Promise<Explanation[]> {
    const found: Explanation[] = [];
    const own = this.#explainHere(edges, url, ip, ms, (explanation) => found.push(explanation));
    const others = this.#askOthers(edges, { kind: 'explain', url, ip, edge }, ms, (answers) => {
      if (answers.kind === 'explain') found.push(...answers.explanations.filter((each) => edges.includes(each.edge)));
    });
    await Promise.all([own, others]);
    return found;
  }

  /** `say` is called once for each edge that counted within `ms` milliseconds. */
  async count(
    edges: readonly string[],
    targets: readonly PurgeTarget[],
    ms: number,
    say: (edge: string, reach: Reach) => void,
  ): Promise<void> {
    const own = this.#countHere(edges, targets, ms, say);
    const others = this.#askOthers(edges, { kind: 'count', targets }, ms, (answers) => {
      if (answers.kind === 'count') for (const [edge, reach] of answers.counts) say(edge, reach);
    });
    await Promise.all([own, others]);
  }

  async #explainHere(
    edges: readonly string[],
    url: string,
    ip: string,
    ms: number,
    say: (explanation: Explanation) => void,
  ): Promise<void> {
    const asked = edges.map(async (edge) => {
      const explanation = await this.#ports.fleet.connection(edge)?.explain(url, ip, ms);
      if (explanation) say(explanation);
    });
    await Promise.all(asked);
  }

  async #countHere(
    edges: readonly string[],
    targets: readonly PurgeTarget[],
    ms: number,
    say: (edge: string, reach: Reach) => void,
  ): Promise<void> {
    const asked = edges.map(async (edge) => {
      const answer = await this.#ports.fleet.connection(edge)?.countPurge(targets, ms);
      if (answer) say(edge, { objects: answer.objects, bytes: answer.bytes });
    });
    await Promise.all(asked);
  }

  /** Never rejects: who cannot be asked does not answer. */
  async #askOthers(
    edges: readonly string[],
    question: Question,
    ms: number,
    hear: (answers: Answers) => void,
  ): Promise<void> {
    const { fleet, peers, clock, log } = this.#ports;
    const waiting = new Set(edges.flatMap((edge) => fleet.holder(edge) ?? []));
    if (waiting.size === 0 || this.#open.size >= OPEN) return;
    this.#last += 1;
    const ask = { asker: peers.id, id: this.#last };
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#open.set(ask.id, { waiting, hear, done: resolve });
    const timer = clock.after(ms + WAY_MS, resolve);
    try {
      await peers.put([{ key: askKey(ask), value: encodeQuestion(question, ms) }]);
      await promise;
    } catch (error) {
      log.warn({ err: error }, 'the edges of other replicas cannot be asked');
    } finally {
      timer.cancel();
      this.#open.delete(ask.id);
      this.#delete(askKey(ask));
    }
  }

  #heard(event: Operation): void {
    const key = parseQuestionKey(event.key);
    const { id } = this.#ports.peers;
    if (key?.kind === 'answer' && key.asker === id && event.kind === 'put')
      this.#answered(key.id, key.replica, event.value);
    if (key?.kind !== 'ask' || key.asker === id) return;
    if (event.kind === 'put') {
      this.#answer(key, event.value).catch((error: unknown) => {
        this.#ports.log.warn({ err: error }, 'what another replica asked could not be answered');
      });
    } else this.#withdrawn(key);
  }

  #answered(id: number, replica: string, value: string): void {
    const open = this.#open.get(id);
    const answers = decodeAnswers(value);
    if (!open?.waiting.delete(replica)) return;
    if (answers) open.hear(answers);
    if (open.waiting.size === 0) open.done();
  }

  async #answer(ask: AskId, text: string): Promise<void> {
    const { fleet, peers, clock } = this.#ports;
    const key = askKey(ask);
    const asked = decodeQuestion(text);
    if (!asked || this.#answering.has(key) || this.#answering.size >= ANSWERING) return;
    const { question } = asked;
    const ms = Math.min(asked.ms, ASKED_MS);
    const all = fleet.own;
    const edges =
      question.kind === 'explain' && question.edge !== '' ? all.filter((edge) => edge === question.edge) : all;
    if (edges.length === 0) return;
    const state = { written: false };
    this.#answering.set(key, state);
    const answers = await this.#gather(edges, question, ms);
    if (!this.#answering.has(key)) return;
    state.written = true;
    // Also when nobody says that it was withdrawn, or it cannot be written.
    clock.after(ms + WAY_MS, () => this.#withdrawn(ask));
    await peers.put([{ key: answerKey(peers.id, ask), value: encodeAnswers(answers, ANSWER_CHARACTERS) }]);
    // Withdrawn while it was being written, so that the deletion may have come first.
    if (!this.#answering.has(key)) this.#delete(answerKey(peers.id, ask));
  }

  async #gather(edges: readonly string[], question: Question, ms: number): Promise<Answers> {
    if (question.kind === 'count') {
      const counts = new Map<string, Reach>();
      await this.#countHere(edges, question.targets, ms, (edge, reach) => counts.set(edge, reach));
      return { kind: 'count', counts };
    }
    const explanations: Explanation[] = [];
    await this.#explainHere(edges, question.url, question.ip, ms, (each) => explanations.push(each));
    return { kind: 'explain', explanations: nearestFirst(explanations) };
  }

  #withdrawn(ask: AskId): void {
    const state = this.#answering.get(askKey(ask));
    this.#answering.delete(askKey(ask));
    if (state?.written) this.#delete(answerKey(this.#ports.peers.id, ask));
  }

  /** If it fails, the key goes with the lease. */
  #delete(key: string): void {
    const { store, log } = this.#ports;
    store.commit({ compares: [], operations: [{ kind: 'delete', key }] }).catch((error: unknown) => {
      log.debug({ err: error, key }, 'a question or an answer is left for its lease to delete');
    });
  }
}

/** An edge that does not know where the client is knows no distance either, and comes last. */
export function nearestFirst(explanations: readonly Explanation[]): Explanation[] {
  const distance = ({ client }: Explanation): number => client?.distanceToEdgeKm ?? Number.POSITIVE_INFINITY;
  return explanations.toSorted((a, b) => {
    const [one, other] = [distance(a), distance(b)];
    return one === other ? 0 : one - other;
  });
}
