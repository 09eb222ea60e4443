// Bytes in shared memory as a ring: what starts near the end goes on at the beginning. It knows nothing of what it holds.
// Positions are 0 ..< capacity, lengths 0 ..= capacity.

export class Ring {
  readonly capacity: number;
  readonly #bytes: Buffer;

  constructor(memory: SharedArrayBuffer) {
    this.capacity = memory.byteLength;
    this.#bytes = Buffer.from(memory);
  }

  /** The position `bytes` after `position`. */
  after(position: number, bytes: number): number {
    const end = position + bytes;
    return end < this.capacity ? end : end - this.capacity;
  }

  /** Bytes from `from` forward to `to`; 0 when they are the same. */
  distance(from: number, to: number): number {
    return to < from ? to - from + this.capacity : to - from;
  }

  write(position: number, source: Buffer): void {
    const first = Math.min(source.length, this.capacity - position);
    source.copy(this.#bytes, position, 0, first);
    if (first < source.length) source.copy(this.#bytes, 0, first);
  }

  /** Each character of `text` is one byte. */
  writeText(position: number, text: string): void {
    if (position + text.length <= this.capacity) this.#bytes.write(text, position, 'latin1');
    else this.write(position, Buffer.from(text, 'latin1'));
  }

  /** Fills `target`. */
  read(position: number, target: Buffer): void {
    const first = Math.min(target.length, this.capacity - position);
    this.#bytes.copy(target, 0, position, position + first);
    if (first < target.length) this.#bytes.copy(target, first, 0, target.length - first);
  }

  readText(position: number, length: number): string {
    const end = position + length;
    if (end <= this.capacity) return this.#bytes.toString('latin1', position, end);
    const first = this.#bytes.toString('latin1', position, this.capacity);
    return first + this.#bytes.toString('latin1', 0, end - this.capacity);
  }

  /** Copies `length` bytes back to `to`, from where they may overlap; `to` must not be behind `from` by going round. */
  move(from: number, to: number, length: number): void {
    if (from === to) return;
    let source = from;
    let target = to;
    for (let left = length; left > 0; ) {
      const step = Math.min(left, this.capacity - source, this.capacity - target);
      this.#bytes.copy(this.#bytes, target, source, source + step);
      source = this.after(source, step);
      target = this.after(target, step);
      left -= step;
    }
  }
}
