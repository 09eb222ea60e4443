// One question put to several workers, until the last of them has answered or died.
import type { ToWorker } from './messages.ts';

interface Asked {
  readonly port: { post(message: ToWorker): void };
}

export class Round<Worker extends Asked> {
  /** The kind of message that answers. */
  readonly answer: string;
  /** The generation that the answer must name, if any. */
  readonly id: number | undefined;
  readonly #onDeath: 'fail' | 'forget';
  readonly #waiting = new Set<Worker>();
  readonly #end = Promise.withResolvers<void>();
  #checking = false;

  /** `onDeath`: whether the death of one that is waited for is a failure of the whole. */
  constructor(answer: string, id: number | undefined, onDeath: 'fail' | 'forget') {
    this.answer = answer;
    this.id = id;
    this.#onDeath = onDeath;
    this.#check();
  }

  /** Resolves when nobody is waited for, not before the caller has added those that he wants; rejects with what `fail` says. */
  get promise(): Promise<void> {
    return this.#end.promise;
  }

  get waiting(): readonly Worker[] {
    return [...this.#waiting];
  }

  add(worker: Worker): void {
    this.#waiting.add(worker);
  }

  ask(worker: Worker, message: ToWorker): void {
    this.add(worker);
    worker.port.post(message);
  }

  settle(worker: Worker): void {
    if (this.#waiting.delete(worker)) this.#check();
  }

  forget(worker: Worker): void {
    this.settle(worker);
  }

  fail(error: Error): void {
    this.#waiting.clear();
    this.#end.reject(error);
  }

  /** True: it was waited for, and the round has failed by that. */
  died(worker: Worker, reason: string): boolean {
    if (!this.#waiting.has(worker)) return false;
    if (this.#onDeath === 'forget') {
      this.settle(worker);
      return false;
    }
    this.fail(new Error(reason));
    return true;
  }

  /** Later, since one that dies may have a successor that is added at once. */
  #check(): void {
    if (this.#checking) return;
    this.#checking = true;
    queueMicrotask(() => {
      this.#checking = false;
      if (this.#waiting.size === 0) this.#end.resolve();
    });
  }
}
