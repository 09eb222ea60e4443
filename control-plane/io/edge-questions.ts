// What one edge is asked over its stream and has yet to answer: bounded, each with a deadline.
import type { Clock } from '../../infra/runtime/clock.ts';
import type { ConnectResponse, CountAnswer, ExplainAnswer } from '../../proto/gen/meridian/v1/edge.ts';
import { Explanation } from '../../proto/gen/meridian/v1/explain.ts';
import type { PurgeTarget } from '../../proto/gen/meridian/v1/purge.ts';

/** Questions that one edge is asked at the same time. */
const QUESTIONS = 32;
/** Of an explanation; what is longer helps nobody. */
const EXPLANATION_BYTES = 256 * 1024;

type Question = NonNullable<ConnectResponse['message']> & { readonly $case: 'explain' | 'count' };
type Answer =
  | { readonly kind: 'explain'; readonly explanation: Explanation | undefined }
  | { readonly kind: 'count'; readonly count: CountAnswer };

export class EdgeQuestions {
  readonly #clock: Clock;
  readonly #pump: () => void;
  /** Not sent yet. */
  readonly #unsent = new Set<Question>();
  readonly #open = new Map<number, (answer: Answer | undefined) => void>();
  #last = 0;
  #closed = false;

  /** `pump` is called when there is something to send. */
  constructor(clock: Clock, pump: () => void) {
    this.#clock = clock;
    this.#pump = pump;
  }

  async explain(url: string, ip: string, ms: number): Promise<Explanation | undefined> {
    const answer = await this.#ask((id) => ({ $case: 'explain', value: { id, url, ip } }), ms);
    return answer?.kind === 'explain' ? answer.explanation : undefined;
  }

  async countPurge(targets: readonly PurgeTarget[], ms: number): Promise<CountAnswer | undefined> {
    const answer = await this.#ask((id) => ({ $case: 'count', value: { id, targets: [...targets] } }), ms);
    return answer?.kind === 'count' ? answer.count : undefined;
  }

  /** What to send next, taken out of the queue. */
  take(): ConnectResponse | undefined {
    const [message] = this.#unsent;
    if (!message) return undefined;
    this.#unsent.delete(message);
    return { message };
  }

  explained({ id, explanation }: ExplainAnswer): void {
    const fits = explanation && Explanation.encode(explanation).finish().length <= EXPLANATION_BYTES;
    this.#open.get(id)?.({ kind: 'explain', explanation: fits ? explanation : undefined });
  }

  counted(count: CountAnswer): void {
    this.#open.get(count.id)?.({ kind: 'count', count });
  }

  /** Nothing is answered any more. */
  close(): void {
    this.#closed = true;
    for (const answer of this.#open.values()) answer(undefined);
  }

  async #ask(make: (id: number) => Question, ms: number): Promise<Answer | undefined> {
    if (this.#closed || this.#open.size >= QUESTIONS) return undefined;
    this.#last += 1;
    const question = make(this.#last);
    const { id } = question.value;
    const { promise, resolve } = Promise.withResolvers<Answer | undefined>();
    this.#open.set(id, resolve);
    this.#unsent.add(question);
    const timer = this.#clock.after(ms, () => resolve(undefined));
    this.#pump();
    try {
      return await promise;
    } finally {
      timer.cancel();
      this.#open.delete(id);
      this.#unsent.delete(question);
    }
  }
}
