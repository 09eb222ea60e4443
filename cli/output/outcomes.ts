// What each edge answered to a purge or an applied configuration, as lines for people or for programs, and the exit code.
import type { EdgeOutcome } from '../../proto/gen/meridian/v1/admin.ts';
import { OutcomeKind } from '../../proto/gen/meridian/v1/admin.ts';
import { EXIT, type Io } from '../commands/command.ts';
import { type Style, type Styles, stylesFor } from './table.ts';
import { count, printable } from './text.ts';

interface Words {
  /** What is printed: ACKED. */
  readonly word: string;
  readonly style: keyof Styles;
}

const WORDS: Readonly<Record<OutcomeKind, Words>> = {
  [OutcomeKind.UNSPECIFIED]: { word: 'UNKNOWN', style: 'bad' },
  [OutcomeKind.ACKED]: { word: 'ACKED', style: 'good' },
  [OutcomeKind.LATE]: { word: 'LATE', style: 'doubtful' },
  [OutcomeKind.GONE]: { word: 'GONE', style: 'bad' },
  [OutcomeKind.REFUSED]: { word: 'REFUSED', style: 'bad' },
};

/** What happens next, said once for all the edges that an outcome befell. */
export type Consequences = Readonly<Partial<Record<OutcomeKind, string>>>;

/** Prints outcomes as they arrive. */
export class OutcomePrinter {
  readonly #io: Io;
  readonly #json: boolean;
  readonly #edges = new Map<OutcomeKind, string[]>();
  readonly #styles: Styles;

  constructor(io: Io, json: boolean) {
    this.#io = io;
    this.#json = json;
    this.#styles = stylesFor(io);
  }

  print(outcome: EdgeOutcome): void {
    this.#edges.set(outcome.outcome, [...(this.#edges.get(outcome.outcome) ?? []), printable(outcome.edge)]);
    const { word, style } = WORDS[outcome.outcome];
    if (this.#json) {
      const { edge, elapsedMs, detail } = outcome;
      printJsonLine(this.#io, { event: 'edge', edge, outcome: word.toLowerCase(), elapsedMs, detail });
      return;
    }
    const paint: Style = this.#styles[style];
    const elapsed = outcome.outcome === OutcomeKind.GONE ? '' : `${outcome.elapsedMs.toFixed(1)} ms`;
    const detail = outcome.detail === '' ? '' : `  ${printable(outcome.detail)}`;
    const line = `  ${printable(outcome.edge).padEnd(20)}  ${paint(word.padEnd(7))}  ${elapsed.padStart(10)}${detail}`;
    this.#io.stdout.write(`${line.trimEnd()}\n`);
  }

  /** The summary, on stderr what is still to come, and the exit code: 3 unless every edge ACKed. */
  finish(done: string, consequences: Consequences): number {
    const total = [...this.#edges.values()].reduce((sum, names) => sum + names.length, 0);
    const acked = this.#edges.get(OutcomeKind.ACKED)?.length ?? 0;
    const code = acked === total ? EXIT.done : EXIT.partial;
    if (this.#json) {
      const counts = Object.fromEntries(
        Object.entries(WORDS)
          .filter(([kind]) => kind !== OutcomeKind.UNSPECIFIED)
          .map(([kind, { word }]) => [word.toLowerCase(), this.#edges.get(kind as OutcomeKind)?.length ?? 0]),
      );
      printJsonLine(this.#io, { event: 'summary', ...counts, exitCode: code });
    } else {
      this.#io.stdout.write(`${done} ${acked} of ${count(total, 'edge')}\n`);
    }
    for (const [kind, names] of this.#edges) {
      if (kind === OutcomeKind.ACKED) continue;
      const next = consequences[kind] ?? 'ask "meridian edges" later';
      this.#io.stderr.write(`${shorten(names)}: ${WORDS[kind].word.toLowerCase()}; ${next}\n`);
    }
    return code;
  }
}

/** Names with commas; beyond 20 only how many more. */
function shorten(names: readonly string[]): string {
  const shown = names.slice(0, 20).join(', ');
  return names.length > 20 ? `${shown} and ${names.length - 20} more` : shown;
}

export function printJsonLine(io: Io, value: object): void {
  io.stdout.write(`${JSON.stringify(value)}\n`);
}

export function printJson(io: Io, value: object): void {
  io.stdout.write(`${JSON.stringify(value, null, 2)}\n`);
}
