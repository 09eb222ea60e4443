// What the fields of any message say of its framing (RFC 9112 section 6.3) and of its connection (RFC 9112 section 9.3, RFC 9110
// sections 7.6.1 and 7.8): said once, since hops that read these fields differently are what smuggling lives on.
import { type Refused, refused } from './refusal.ts';

const LENGTH = /^[0-9]{1,15}$/;

/** Takes the fields of one message, one after another. */
export class MessageFields {
  /** Undefined: no Content-Length. */
  contentLength: number | undefined = undefined;
  chunked = false;
  /** Options of Connection. */
  close = false;
  keepAlive = false;
  #upgradeNamed = false;
  #upgrade: string | undefined = undefined;

  /** What Upgrade says, where Connection names it too. */
  get upgrade(): string | undefined {
    return this.#upgradeNamed ? this.#upgrade : undefined;
  }

  /** `name` in lower case. Refuses any repetition of a field that frames the message, even an equal one. */
  take(name: string | undefined, value: string): Refused | undefined {
    switch (name) {
      case 'content-length':
        if (this.contentLength !== undefined) return refused('content-length-repeated');
        if (!LENGTH.test(value)) return refused('content-length-malformed');
        this.contentLength = Number(value);
        break;
      case 'transfer-encoding':
        if (this.chunked) return refused('transfer-encoding-repeated');
        if (value !== 'chunked') return refused('transfer-encoding-unknown');
        this.chunked = true;
        break;
      case 'connection':
        this.#connection(value);
        break;
      case 'upgrade':
        this.#upgrade = this.#upgrade === undefined ? value : `${this.#upgrade}, ${value}`;
        break;
    }
    return undefined;
  }

  /** To be called when all were taken. */
  settle(): Refused | undefined {
    const both = this.chunked && this.contentLength !== undefined;
    return both ? refused('transfer-encoding-and-content-length') : undefined;
  }

  #connection(value: string): void {
    if (value === 'keep-alive') {
      this.keepAlive = true;
      return;
    }
    for (const option of value.toLowerCase().split(',')) {
      const name = option.trim();
      if (name === 'close') this.close = true;
      else if (name === 'keep-alive') this.keepAlive = true;
      else if (name === 'upgrade') this.#upgradeNamed = true;
    }
  }
}
