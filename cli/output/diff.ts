// Two texts compared line by line, and what changed shown with a few lines around it.

export type DiffLine = { readonly kind: 'same' | 'removed' | 'added'; readonly text: string };

/** Lines in the part that differs; beyond it, all of one is shown removed and all of the other added. */
const COMPARED = 4000;

/** The fewest lines removed and added that make `after` of `before` (longest common subsequence). */
export function diffLines(before: readonly string[], after: readonly string[]): DiffLine[] {
  let head = 0;
  while (head < before.length && head < after.length && before[head] === after[head]) head += 1;
  let tail = 0;
  const most = Math.min(before.length, after.length) - head;
  while (tail < most && before[before.length - 1 - tail] === after[after.length - 1 - tail]) tail += 1;
  const a = before.slice(head, before.length - tail);
  const b = after.slice(head, after.length - tail);
  const same = (text: string): DiffLine => ({ kind: 'same', text });
  return [...before.slice(0, head).map(same), ...middle(a, b), ...before.slice(before.length - tail).map(same)];
}

function middle(a: readonly string[], b: readonly string[]): DiffLine[] {
  const removed = a.map((text): DiffLine => ({ kind: 'removed', text }));
  const added = b.map((text): DiffLine => ({ kind: 'added', text }));
  if (a.length === 0 || b.length === 0 || a.length > COMPARED || b.length > COMPARED) return [...removed, ...added];
  // Lengths of common subsequences of what is left from each pair of places.
  const width = b.length + 1;
  const common = new Uint16Array((a.length + 1) * width);
  const at = (i: number, j: number): number => common[i * width + j] ?? 0;
  for (let i = a.length - 1; i >= 0; i -= 1) {
    for (let j = b.length - 1; j >= 0; j -= 1) {
      common[i * width + j] = a[i] === b[j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1));
    }
  }
  const lines: DiffLine[] = [];
  let [i, j] = [0, 0];
  while (i < a.length || j < b.length) {
    const [left, right] = [a[i], b[j]];
    if (left !== undefined && left === right) {
      lines.push({ kind: 'same', text: left });
      i += 1;
      j += 1;
    } else if (left !== undefined && (right === undefined || at(i + 1, j) >= at(i, j + 1))) {
      lines.push({ kind: 'removed', text: left });
      i += 1;
    } else if (right !== undefined) {
      lines.push({ kind: 'added', text: right });
      j += 1;
    }
  }
  return lines;
}

/** Lines shown around a change. */
const AROUND = 3;

/** `- old`, `+ new`, with a few lines around; "..." where lines are left out. Empty when nothing differs. */
export function formatDiff(lines: readonly DiffLine[]): string[] {
  const shown = new Set<number>();
  for (const [index, { kind }] of lines.entries()) {
    if (kind === 'same') continue;
    for (let near = index - AROUND; near <= index + AROUND; near += 1) shown.add(near);
  }
  const out: string[] = [];
  let last = -1;
  const marks = { same: ' ', removed: '-', added: '+' };
  for (const [index, { kind, text }] of lines.entries()) {
    if (!shown.has(index)) continue;
    if (index > last + 1) out.push('...');
    out.push(`${marks[kind]} ${text}`.trimEnd());
    last = index;
  }
  return out;
}
