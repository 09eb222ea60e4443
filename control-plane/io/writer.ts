// Writes what was planned from the present world, if it still is the present one; else plans again. The writes of one process
// go one after another, so that only other replicas are raced.
import { randomBytes } from 'node:crypto';
import type { Clock } from '../../infra/runtime/clock.ts';
import { type AuditNote, type Caller, withAudit } from '../decide/audit.ts';
import { KEYS, type Transaction } from '../decide/keys.ts';
import type { World } from '../decide/world.ts';
import type { Store } from '../ports.ts';
import { StoreError } from '../ports.ts';
import { ECHO_MS, type State } from './state.ts';

/** Writes that wait for their turn. */
const WAITING = 256;
/** Plans of one write, each after another replica won. */
const ATTEMPTS = 20;

export interface Written<Plan> {
  readonly plan: Plan;
  /** Of the commit; undefined when nothing was written. */
  readonly revision: number | undefined;
  /** When it was durable, monotonic milliseconds. */
  readonly committedAt: number;
}

/** Who asks for a write, and what the audit log is to say of it. */
export interface Author<Plan> {
  readonly caller: Caller;
  note(plan: Plan & { readonly kind: 'commit' }): AuditNote;
}

export class Writer {
  readonly #store: Store;
  readonly #state: State;
  readonly #clock: Clock;
  #last: Promise<unknown> = Promise.resolve();
  #waiting = 0;

  constructor(store: Store, state: State, clock: Clock) {
    this.#store = store;
    this.#state = state;
    this.#clock = clock;
  }

  /**
   * Commits what `plan` makes of the world, calling it anew when another was faster; a plan of another kind than `commit` is
   * returned as it is. What is written says in the audit log who it is from. Returns as soon as the commit is durable, which may be before the world has it. Throws a StoreError;
   * after `unavailable` it may have been written all the same.
   */
  async write<Plan extends { readonly kind: string }>(
    plan: (world: World) => Plan,
    author: Author<Plan>,
  ): Promise<Written<Plan>> {
    if (this.#waiting >= WAITING) throw new StoreError('unavailable', 'too many changes are waiting; try again later');
    this.#waiting += 1;
    const turn = this.#last.then(() => this.#attempt(plan, author));
    // The next plan is to see what this one wrote.
    this.#last = turn.then(
      ({ revision = 0 }) => this.#state.reached(revision, ECHO_MS),
      () => undefined,
    );
    try {
      return await turn;
    } finally {
      this.#waiting -= 1;
    }
  }

  async #attempt<Plan extends { readonly kind: string }>(
    plan: (world: World) => Plan,
    author: Author<Plan>,
  ): Promise<Written<Plan>> {
    for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
      const { world, lost } = this.#state;
      if (lost !== undefined) {
        throw new StoreError(
          'unavailable',
          `nothing was changed, since the store is out of sight: ${lost}; try again later`,
        );
      }
      const planned = plan(world);
      if (!isCommit(planned)) return { plan: planned, revision: undefined, committedAt: this.#clock.monotonic() };
      const wrote = planned.transaction.operations.length > 0;
      const { compares, operations } = wrote ? this.#signed(planned, world, author) : planned.transaction;
      // In a restored store the same revisions come again: what was planned before must not fit there by chance.
      const epoch = { key: KEYS.epoch, modRevision: world.epochRevision };
      const { kind, revision } = await this.#store.commit({ compares: [epoch, ...compares], operations });
      if (kind === 'committed') {
        return { plan: planned, revision: wrote ? revision : undefined, committedAt: this.#clock.monotonic() };
      }
      // Whoever was faster wrote one of the keys compared, so that the watch will bring it.
      if (!(await this.#state.reached(world.revision + 1, ECHO_MS))) break;
    }
    throw new StoreError('unavailable', 'nothing was changed: others kept changing the same; try again');
  }

  #signed<Plan>(
    planned: Plan & { readonly kind: 'commit'; readonly transaction: Transaction },
    world: World,
    { caller, note }: Author<Plan>,
  ): Transaction {
    const { epoch, headRevision, access } = world;
    const before = { epoch, headRevision, audit: access.audit };
    const unique = randomBytes(6).toString('hex');
    return withAudit(planned.transaction, before, caller, note(planned), this.#clock.now(), unique);
  }
}

function isCommit<Plan extends { readonly kind: string }>(
  plan: Plan,
): plan is Plan & { readonly kind: 'commit'; readonly transaction: Transaction } {
  return plan.kind === 'commit' && 'transaction' in plan;
}
