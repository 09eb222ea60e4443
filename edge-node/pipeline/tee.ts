// The body of an origin's answer on its way to two places: the client, at the client's pace, and the store. It does not pass
// through the table. What the store has is committed only when the origin ended it properly and the length is right; what
// the client has is broken off, never ended, when it did not.
import type { StoreWriter } from '../decide/cache/entry.ts';
import type { FieldList } from '../decide/fields.ts';
import type { OriginFailure } from '../decide/retry.ts';
import type { ClientPort, OriginCall } from '../ports.ts';

export interface TeeOwner {
  /** Called once: the answer is complete, or it broke off, or the client left. */
  onOver(end: 'complete' | 'origin-failed' | 'client-gone', failure?: OriginFailure): void;
}

export class Tee {
  readonly call: OriginCall;
  readonly #client: ClientPort;
  readonly #owner: TeeOwner;
  #writer: StoreWriter | undefined;
  #toClient = false;
  /** Of the announced length; undefined when none was. */
  #left: number | undefined;
  #over = false;
  /** Body bytes handed to the client. */
  bytes = 0;

  constructor(call: OriginCall, client: ClientPort, owner: TeeOwner) {
    this.call = call;
    this.#client = client;
    this.#owner = owner;
  }

  /** The body also goes to the store. */
  store(writer: StoreWriter): void {
    this.#writer = writer;
  }

  /** The body goes to the client, whose answer has been begun with `length`; undefined: not known. */
  relay(length: number | undefined): void {
    this.#toClient = true;
    this.#left = length;
  }

  onData(chunk: Buffer): void {
    if (this.#writer && !this.#writer.write(chunk)) this.#writer = undefined;
    if (!this.#toClient) {
      // The client has its answer already, and the store has had enough.
      if (!this.#writer) this.abort();
      return;
    }
    if (this.#left !== undefined) {
      this.#left -= chunk.length;
      if (this.#left < 0) {
        this.#wrongLength('longer');
        return;
      }
    }
    this.bytes += chunk.length;
    if (this.#client.write(chunk)) return;
    this.#client.onDrain ??= () => this.call.resume();
    this.call.pause();
  }

  /** Whether what was given to `onData` is still in use. The store copies what it is given. */
  get retains(): boolean {
    return this.#toClient && this.#client.retains !== false;
  }

  onEnd(trailers: FieldList): void {
    if (this.#over) return;
    // The client would take the beginning of its next answer for the end of this one.
    if (this.#left !== undefined && this.#left > 0) {
      this.#wrongLength('shorter');
      return;
    }
    this.#over = true;
    this.#writer?.commit();
    if (this.#toClient) this.#client.end(trailers);
    this.#owner.onOver('complete');
  }

  onFailure(failure: OriginFailure): void {
    if (this.#over) return;
    this.#over = true;
    this.#writer?.abort();
    if (this.#toClient) this.#client.abort();
    this.#owner.onOver('origin-failed', failure);
  }

  /** The client left. Its answer goes nowhere any more, and an answer that is only half stored is of no use. */
  onClientGone(): void {
    if (this.#over) return;
    this.abort();
    this.#owner.onOver('client-gone');
  }

  /** Ends everything without telling anyone. */
  abort(): void {
    if (this.#over) return;
    this.#over = true;
    this.#writer?.abort();
    this.call.abort();
  }

  #wrongLength(how: 'longer' | 'shorter'): void {
    this.call.abort();
    this.onFailure({ phase: 'body', code: 'origin-malformed', detail: `the body is ${how} than its Content-Length` });
  }
}
