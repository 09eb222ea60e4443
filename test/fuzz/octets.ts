// What the fuzzing run sends: noise, nearly right requests, and requests that carry much, each cut into arbitrary pieces.
import type { Random } from '../../infra/runtime/random.ts';
import { RequestGenerator } from '../unit/edge-node/http1/generate.ts';

/** How a connection ends after its last octet. */
export type Ending = 'half-close' | 'reset' | 'never-read';

export interface Plan {
  readonly pieces: readonly Buffer[];
  readonly bytes: number;
  readonly ending: Ending;
}

const NOISE_BYTES = 1 << 20;
/** Octets of a large body, at most. */
const BODY_BYTES = 128 * 1024;

/** Plans connections, one after the other, as `random` says. */
export class Octets {
  readonly #random: Random;
  readonly #requests: RequestGenerator;
  /** Cut from anywhere, since making noise octet by octet would be most of the work. */
  readonly #noise: Buffer;

  constructor(random: Random) {
    this.#random = random;
    this.#requests = new RequestGenerator(random);
    this.#noise = Buffer.from(Array.from({ length: NOISE_BYTES }, () => this.#below(256)));
  }

  next(): Plan {
    const octets = this.#octets();
    return { pieces: this.#cut(octets), bytes: octets.length, ending: this.#ending() };
  }

  #octets(): Buffer {
    switch (this.#below(8)) {
      case 0:
        return this.#slice(64 * 1024);
      case 1:
        return Buffer.concat([Buffer.from('GET / HTTP/1.1\r\nHost: localhost\r\nX: '), this.#slice(4096)]);
      case 2:
      case 3:
      case 4:
        return this.#heavy();
      default:
        return this.#requests.connection();
    }
  }

  /** Requests with long bodies of noise, whose framing is right until some octets are changed. */
  #heavy(): Buffer {
    const parts: Buffer[] = [];
    for (let i = this.#below(4); i >= 0; i -= 1) parts.push(...this.#post());
    const whole = Buffer.concat(parts);
    if (this.#below(3) > 0) return whole;
    for (let i = this.#below(3); i >= 0; i -= 1) whole[this.#below(whole.length)] = this.#below(256);
    return whole;
  }

  #post(): Buffer[] {
    const body = this.#slice(BODY_BYTES);
    const head = `POST /${this.#below(1000)} HTTP/1.1\r\nHost: localhost\r\n`;
    if (this.#below(2) === 0) return [Buffer.from(`${head}Content-Length: ${body.length}\r\n\r\n`), body];
    const parts: Buffer[] = [Buffer.from(`${head}Transfer-Encoding: chunked\r\n\r\n`)];
    for (let at = 0; at < body.length; ) {
      const chunk = body.subarray(at, at + 1 + this.#below(16 * 1024));
      parts.push(Buffer.from(`${chunk.length.toString(16)}\r\n`), chunk, Buffer.from('\r\n'));
      at += chunk.length;
    }
    parts.push(Buffer.from('0\r\n\r\n'));
    return parts;
  }

  #slice(max: number): Buffer {
    const length = this.#below(max);
    const at = this.#below(NOISE_BYTES - length);
    return this.#noise.subarray(at, at + length);
  }

  #cut(octets: Buffer): Buffer[] {
    const pieces: Buffer[] = [];
    const cuts = this.#below(4);
    let at = 0;
    for (let i = 0; i < cuts && at < octets.length; i += 1) {
      const length = 1 + this.#below(octets.length - at);
      pieces.push(octets.subarray(at, at + length));
      at += length;
    }
    pieces.push(octets.subarray(at));
    return pieces;
  }

  #ending(): Ending {
    const chance = this.#random.next();
    if (chance < 0.8) return 'half-close';
    return chance < 0.98 ? 'reset' : 'never-read';
  }

  #below(limit: number): number {
    return Math.floor(this.#random.next() * limit);
  }
}
