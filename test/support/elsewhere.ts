// Another thread that asks origins for what a test says.
import { type FillClaims, TAKEN } from '../../edge-node/decide/cache/fills.ts';

export class Elsewhere implements FillClaims {
  readonly taken = new Set<string>();
  /** Keys that this thread has asked for. */
  readonly own: string[] = [];
  /** How its fills ended for others. */
  readonly released: boolean[] = [];
  /** Happens just before this thread claims a key. */
  before: () => void = () => undefined;
  /** Keys that the other thread waits for. */
  readonly awaited = new Set<string>();
  #waiting: ((useless: boolean) => void)[] = [];

  claim(key: string): number {
    this.before();
    if (this.taken.has(key)) return TAKEN;
    this.own.push(key);
    return this.own.length - 1;
  }

  isAwaited(claim: number): boolean {
    return this.awaited.has(this.own[claim] ?? '');
  }

  release(_claim: number, useless: boolean): void {
    this.released.push(useless);
  }

  whenFree(_key: string, _ms: number, done: (useless: boolean) => void): void {
    this.#waiting.push(done);
  }

  free(useless = false): void {
    this.taken.clear();
    for (const done of this.#waiting.splice(0)) done(useless);
  }
}
