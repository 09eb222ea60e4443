// A stored body that is not in memory: it is read piece by piece, at the pace of whoever takes it.

export interface BodySource {
  readonly length: number;
  /** Sees to it that it stays until it is closed; undefined: it is gone. */
  open(): OpenBody | undefined;
}

export interface OpenBody {
  /** Reads bytes `from` ..< `to`. `more`: it will be called again when the sink was told that it ended, and stays open. */
  start(sink: BodySink, from: number, to: number, more?: boolean): void;
  /** To be called when the sink can take more, after it said that it cannot. */
  resume(): void;
  /** Ends it; nothing is called afterwards. To be called in every case, and more than once does not matter. */
  close(): void;
}

/** Where a body goes. It ends by `end` or by `failed`, and is closed then, unless more was to be read. */
export interface BodySink {
  /** False: wait. The chunk is the receiver's to keep. */
  chunk(chunk: Buffer): boolean;
  end(): void;
  /** It cannot be read to the end, or is damaged: what came so far was right. `by`: whose fault it is, if not this edge's. */
  failed(by?: 'origin-failed'): void;
}
