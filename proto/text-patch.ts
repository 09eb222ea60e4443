// From one text to another, as the piece in the middle that differs: what a change of one line in a long text costs is that
// line.

export interface TextPatch {
  /** UTF-16 units of the base that stay at its beginning and at its end. */
  readonly head: number;
  readonly tail: number;
  /** What stands between them. */
  readonly middle: string;
}

export function makePatch(base: string, wanted: string): TextPatch {
  const most = Math.min(base.length, wanted.length);
  let head = 0;
  while (head < most && base.charCodeAt(head) === wanted.charCodeAt(head)) head += 1;
  let tail = 0;
  while (
    tail < most - head &&
    base.charCodeAt(base.length - 1 - tail) === wanted.charCodeAt(wanted.length - 1 - tail)
  ) {
    tail += 1;
  }
  return { head, tail, middle: wanted.slice(head, wanted.length - tail) };
}

/** Undefined when the patch cannot have been made for this base. */
export function applyPatch(base: string, { head, tail, middle }: TextPatch): string | undefined {
  if (!(head >= 0 && tail >= 0 && head + tail <= base.length)) return undefined;
  return base.slice(0, head) + middle + base.slice(base.length - tail);
}
