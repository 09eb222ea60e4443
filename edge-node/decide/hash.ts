// A keyed hash of strings: HalfSipHash-1-3 with 64 bits of output (SipHash by Aumasson and Bernstein, in its form for 32-bit
// words). What is hashed comes from clients; under a key that they do not know, nobody can choose strings that meet in one
// chain. Four characters to a round make it no slower than two multiplications for each character.

/** 64 random bits, as two whole numbers of 32. */
export interface HashKey {
  readonly k0: number;
  readonly k1: number;
}

/** Of 1 + 3 + 3: the last word, then twice the rounds that follow it. */
const LAST_ROUNDS = 7;

export class StringHash {
  readonly #k0: number;
  readonly #k1: number;
  /** The result of the last {@link of}: 32 bits each, signed. Left here, so that hashing allocates nothing. */
  high = 0;
  low = 0;

  constructor(key: HashKey) {
    this.#k0 = key.k0 | 0;
    this.#k1 = key.k1 | 0;
  }

  /** Sets `high` and `low`. Made for characters up to 0xff; others count too, but are easier to make collide. */
  of(text: string): void {
    const { length } = text;
    const full = length & ~3;
    let v0 = this.#k0;
    let v1 = this.#k1 ^ 0xee;
    let v2 = this.#k0 ^ 0x6c796765;
    let v3 = this.#k1 ^ 0x74656462;
    let word = 0;
    for (let at = 0; at < full; at += 4) {
      word = text.charCodeAt(at) ^ (text.charCodeAt(at + 1) << 8);
      word ^= (text.charCodeAt(at + 2) << 16) ^ (text.charCodeAt(at + 3) << 24);
      v3 ^= word;
      v0 = (v0 + v1) | 0;
      v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
      v0 = (v0 << 16) | (v0 >>> 16);
      v2 = (v2 + v3) | 0;
      v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
      v0 = (v0 + v3) | 0;
      v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0;
      v2 = (v2 + v1) | 0;
      v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2;
      v2 = (v2 << 16) | (v2 >>> 16);
      v0 ^= word;
    }
    word = length << 24;
    for (let at = full; at < length; at += 1) word ^= text.charCodeAt(at) << ((at & 3) << 3);
    for (let round = 0; round < LAST_ROUNDS; round += 1) {
      v3 ^= word;
      v0 = (v0 + v1) | 0;
      v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
      v0 = (v0 << 16) | (v0 >>> 16);
      v2 = (v2 + v3) | 0;
      v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
      v0 = (v0 + v3) | 0;
      v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0;
      v2 = (v2 + v1) | 0;
      v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2;
      v2 = (v2 << 16) | (v2 >>> 16);
      v0 ^= word;
      word = 0;
      if (round === 0) v2 ^= 0xee;
      else if (round === 3) {
        this.high = v1 ^ v3;
        v1 ^= 0xdd;
      }
    }
    this.low = v1 ^ v3;
  }
}
