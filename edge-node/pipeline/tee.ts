// The body of an origin's answer on its way to two places: the client, at the client's pace, and the store. It does not pass
// through the table. What the store has is committed only when the origin ended it properly and the length is right; what
// the client has is broken off, never ended, when it did not.
//
// When others follow, the store sets the pace: the first client is one of them then, and each takes what is there as it can.
import type { CacheEntry, StoreWriter } from '../decide/cache/entry.ts';
import { whenAbandoned } from '../decide/cache/fills.ts';
import type { FieldList } from '../decide/fields.ts';
import type { OriginFailure } from '../decide/retry.ts';
import type { ClientPort, OriginCall } from '../ports.ts';
import { Follower, type FollowerEnd, type FollowerState } from './follower.ts';
import { Unattended } from './unattended.ts';

export interface TeeOwner {
  /** Whether others wait for what comes, if the client leaves. */
  readonly awaited: boolean;
  /** Called once: the answer is complete, or it broke off, or the client left. */
  onOver(end: FollowerEnd, failure?: OriginFailure): void;
  /** The body is complete: commits it, unless it may not be stored any more. */
  commit(writer: StoreWriter): CacheEntry | undefined;
}

/** Who is told what became of a body that others wait for. */
export interface TeeWatcher {
  onStored(entry: CacheEntry): void;
  /** It is not stored, and will not be; the origin may have failed. */
  onLost(failure: OriginFailure | undefined): void;
}

export class Tee {
  readonly call: OriginCall;
  #client: ClientPort;
  readonly #owner: TeeOwner;
  #writer: StoreWriter | undefined;
  #toClient = false;
  /** The client was given parts of the origin's reads before it became a follower. */
  #lent = false;
  /** The client is slow, and so the origin is held. */
  #held = false;
  #length: number | undefined;
  /** Of the announced length; undefined when none was. */
  #left: number | undefined;
  #over = false;
  #watcher: TeeWatcher | undefined;
  #followers: Set<Follower> | undefined;
  /** What followers are given from, when it is whole. */
  #whole: Buffer | undefined;
  /** Body bytes handed to the client. */
  bytes = 0;

  constructor(call: OriginCall, client: ClientPort, owner: TeeOwner) {
    this.call = call;
    this.#client = client;
    this.#owner = owner;
  }

  /** The body, of `length` where that is known, also goes to the store. */
  store(writer: StoreWriter, length: number | undefined): void {
    this.#writer = writer;
    this.#length = length;
    this.#left = length;
  }

  /** The body goes to the client, whose answer has been begun with `length`; undefined: not known. */
  relay(length: number | undefined): void {
    this.#toClient = true;
    this.#left ??= length;
  }

  /** Whether others can follow: all that has come so far is at hand. */
  get canBeFollowed(): boolean {
    return this.#length !== undefined && this.#writer?.gathered() !== undefined;
  }

  /** Once, when it is being stored and the first client's answer has been begun. */
  watch(watcher: TeeWatcher): void {
    this.#watcher = watcher;
  }

  /** The body goes to `client` too, whose answer has been begun; while it can be followed. `onOver`: with the bytes it was given. */
  follow(client: ClientPort, onOver: (end: FollowerEnd, bytes: number) => void): void {
    this.#followers ??= this.#share();
    this.#add(client, { sent: 0, held: false }, onOver);
    this.call.resume();
  }

  onData(chunk: Buffer): void {
    if (this.#writer && !this.#writer.write(chunk)) {
      this.#writer = undefined;
      if (this.#watcher && !this.#followers) this.#lose(undefined);
    }
    if (this.#left !== undefined) {
      this.#left -= chunk.length;
      if (this.#left < 0) {
        this.#wrongLength('longer');
        return;
      }
    }
    if (this.#followers) {
      this.#feed();
      return;
    }
    if (!this.#toClient) {
      // The client has its answer already, or left, and the store has had enough.
      if (!this.#writer) this.abort();
      return;
    }
    this.bytes += chunk.length;
    if (this.#client.write(chunk)) return;
    this.#client.onDrain ??= () => {
      this.#held = false;
      this.call.resume();
    };
    this.#held = true;
    this.call.pause();
  }

  /** Whether what was given to `onData` is still in use. The store copies what it is given. */
  get retains(): boolean {
    return (this.#toClient || this.#lent) && this.#client.retains !== false;
  }

  onEnd(trailers: FieldList): void {
    if (this.#over) return;
    // The client would take the beginning of its next answer for the end of this one.
    if (this.#left !== undefined && this.#left > 0) {
      this.#wrongLength('shorter');
      return;
    }
    this.#over = true;
    if (this.#followers) this.#whole = this.#writer?.gathered();
    const entry = this.#writer && this.#owner.commit(this.#writer);
    if (this.#followers) this.#feed();
    else {
      if (this.#toClient) this.#client.end(trailers);
      this.#owner.onOver('complete');
    }
    if (entry) this.#watcher?.onStored(entry);
    else this.#lose(undefined);
  }

  onFailure(failure: OriginFailure): void {
    if (this.#over) return;
    this.#over = true;
    this.#writer?.abort();
    if (this.#followers) {
      for (const follower of [...this.#followers]) follower.fail();
    } else if (this.#toClient) this.#client.abort();
    this.#owner.onOver('origin-failed', failure);
    this.#lose(failure);
  }

  /** The client left. Its answer goes nowhere any more, and an answer that is only half stored is of no use. */
  onClientGone(): void {
    if (this.#over) return;
    this.#client = new Unattended(this.#client.request);
    this.#toClient = false;
    if (this.#owner.awaited) this.call.resume();
    else this.stopIfUnwanted();
    this.#owner.onOver('client-gone');
  }

  /** Nobody waits for it: it goes on only if it is being stored and that is worth the while. */
  stopIfUnwanted(): void {
    if (this.#over || this.#toClient || (this.#followers?.size ?? 0) > 0) return;
    if (this.#writer && whenAbandoned(this.#length, this.#left ?? 0).kind === 'finish') this.call.resume();
    else this.abort();
  }

  /** Ends everything. The first client and the owner are not told. */
  abort(): void {
    if (this.#over) return;
    this.#over = true;
    this.#writer?.abort();
    this.call.abort();
    if (this.#followers) for (const follower of [...this.#followers]) follower.fail();
    this.#lose(undefined);
  }

  /** The first client becomes a follower. */
  #share(): Set<Follower> {
    this.#followers = new Set();
    if (this.#toClient) {
      this.#toClient = false;
      this.#lent = this.bytes > 0;
      this.#add(this.#client, { sent: this.bytes, held: this.#held }, (end, bytes) => {
        this.bytes = bytes;
        // Of a failure it is told with the reason.
        if (end !== 'origin-failed') this.#owner.onOver(end);
      });
    }
    return this.#followers;
  }

  #add(client: ClientPort, state: FollowerState, onOver: (end: FollowerEnd, bytes: number) => void): void {
    const follower: Follower = new Follower(
      client,
      state,
      () => follower.take(this.#gathered(), this.#whole !== undefined),
      (end) => {
        this.#followers?.delete(follower);
        onOver(end, follower.sent);
        if (end === 'client-gone' && !this.#owner.awaited) this.stopIfUnwanted();
      },
    );
    this.#followers?.add(follower);
    follower.take(this.#gathered(), this.#whole !== undefined);
  }

  #feed(): void {
    const body = this.#gathered();
    for (const follower of this.#followers ?? []) follower.take(body, this.#whole !== undefined);
  }

  #gathered(): Buffer {
    return this.#whole ?? this.#writer?.gathered() ?? NOTHING;
  }

  #lose(failure: OriginFailure | undefined): void {
    const watcher = this.#watcher;
    this.#watcher = undefined;
    watcher?.onLost(failure);
  }

  #wrongLength(how: 'longer' | 'shorter'): void {
    this.call.abort();
    this.onFailure({ phase: 'body', code: 'origin-malformed', detail: `the body is ${how} than its Content-Length` });
  }
}

const NOTHING = Buffer.alloc(0);
