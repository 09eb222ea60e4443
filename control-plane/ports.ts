// What a control plane needs of the outside: a small key-value store with revisions, modelled on etcd. Two stores speak it
// (io/etcd-store.ts, io/sqlite-store.ts) and pass one suite of tests (test/integration/control-plane/store-contract.ts).
import type { Batch, Entry, Transaction } from './decide/keys.ts';

export interface Reading {
  /** The store's revision at which `entries` held, all of them. */
  readonly revision: number;
  /** Sorted by key. */
  readonly entries: readonly Entry[];
}

export type CommitResult =
  /** `revision`: of this transaction; the store's present one when there was nothing to change. */
  | { readonly kind: 'committed'; readonly revision: number }
  /** A comparison did not hold, so that nothing was written. `revision`: the store's present one. */
  | { readonly kind: 'conflict'; readonly revision: number };

export interface WatchHandlers {
  /** One transaction's changes under the prefix. Revisions rise from call to call. Must not throw. */
  onBatch(batch: Batch): void;
  /** The watch is over, once: batches may be missing from here on, so read again and watch from there. */
  onLost(reason: string): void;
}

export interface Watch {
  /** No handler is called afterwards. */
  stop(): void;
}

/** Revisions are integers that rise with every transaction that changes something. Promises reject with a StoreError. */
export interface Store {
  readonly kind: 'embedded' | 'etcd';
  /** For people: a file, or addresses. */
  readonly place: string;
  /** The same for as long as it is the same store; another one after a restore into a new cluster or a new file. */
  identity(): Promise<string>;
  /** Everything under `prefix` at one revision that is not older than any commit that ended before the call. */
  read(prefix: string): Promise<Reading>;
  /**
   * Durable once it resolves to `committed`. When it rejects as `unavailable`, it may have been written all the same.
   * Not in a transaction: a key twice.
   */
  commit(transaction: Transaction): Promise<CommitResult>;
  /** Batches of revision `fromRevision` and later, to the last. `onLost` when the store no longer remembers that far back. */
  watch(prefix: string, fromRevision: number, handlers: WatchHandlers): Watch;
  /** Begins a session. Undefined where the store has room for one process, so that nobody else would see its keys. */
  readonly session: ((ttlMs: number) => Promise<Session>) | undefined;
  /** Ends the watches without a call to their handlers. Afterwards everything else rejects. */
  close(): Promise<void>;
}

/** Keys that vanish some time after the process that wrote them. */
export interface Session {
  /** Writes all in one transaction, to vanish with the session. Returns its revision. Rejects with a StoreError. */
  put(entries: readonly { readonly key: string; readonly value: string }[]): Promise<number>;
  /** Puts the end off by the time to live. False: it is over, and the keys are gone. Rejects with a StoreError. */
  keepAlive(): Promise<boolean>;
  /** Deletes the keys now. Never rejects. */
  end(): Promise<void>;
}

export type StoreErrorKind =
  /** Out of reach, or not able to write now. Trying again may help. */
  | 'unavailable'
  /** More than the store takes in one transaction. */
  | 'too-large'
  /** Not a store of ours, or damaged, or in use by another. Trying again does not help. */
  | 'unusable';

export class StoreError extends Error {
  override readonly name = 'StoreError';
  readonly kind: StoreErrorKind;

  /** `message`: a sentence that says what, where, and what to do. */
  constructor(kind: StoreErrorKind, message: string, cause?: unknown) {
    super(message, { cause });
    this.kind = kind;
  }
}
