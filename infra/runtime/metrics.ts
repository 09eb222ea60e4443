// Counters and gauges, rendered in the Prometheus text exposition format 0.0.4. A counter is one number in one array: on
// the path of a request it costs an addition.

export type Labels = Readonly<Record<string, string>>;

export interface Counter {
  /** `by` defaults to 1 and is never negative. */
  add(by?: number): void;
  value(): number;
}

/** Where counters are kept, under names that say everything about them: elsewhere when threads count together. */
export interface CounterSource {
  /** The same name gives the same counter. */
  counter(name: string): Counter;
  /** All that were ever asked for, by anyone. */
  names(): Iterable<string>;
}

/** A number in an object: adding to it allocates nothing, however large it is. */
class OwnCounter implements Counter {
  #count = 0;

  add(by = 1): void {
    this.#count += by;
  }

  value(): number {
    return this.#count;
  }
}

class OwnCounters implements CounterSource {
  readonly #counters = new Map<string, Counter>();

  counter(name: string): Counter {
    const known = this.#counters.get(name);
    if (known) return known;
    const counter = new OwnCounter();
    this.#counters.set(name, counter);
    return counter;
  }

  names(): Iterable<string> {
    return [];
  }
}

/** The name in a {@link CounterSource} of a counter that is asked for by these. */
export function counterName(name: string, help: string, labels: Labels = {}): string {
  return JSON.stringify([name, help, labels]);
}

interface Sample {
  readonly labels: Labels;
  read(): number;
}

interface Family {
  readonly name: string;
  readonly help: string;
  readonly type: 'counter' | 'gauge';
  readonly samples: Sample[];
  /** Samples that come and go. */
  list?: () => Iterable<readonly [Labels, number]>;
}

export class Metrics {
  readonly #families = new Map<string, Family>();
  readonly #counters = new Map<string, Counter>();
  /** Names of counters, of the source's. */
  readonly #learned = new Set<string>();
  readonly #source: CounterSource;

  constructor(source: CounterSource = new OwnCounters()) {
    this.#source = source;
  }

  /** The same name and labels give the same counter. Names end in `_total`, units are base units (Prometheus naming). */
  counter(name: string, help: string, labels: Labels = {}): Counter {
    const key = name + renderLabels(labels);
    const known = this.#counters.get(key);
    if (known) return known;
    const counter = this.#source.counter(counterName(name, help, labels));
    this.#counters.set(key, counter);
    this.#family(name, help, 'counter').samples.push({ labels, read: () => counter.value() });
    return counter;
  }

  /** `read` is called at each scrape. */
  gauge(name: string, help: string, read: () => number, labels: Labels = {}): void {
    this.#family(name, help, 'gauge').samples.push({ labels, read });
  }

  /** As `gauge`, of something that is counted elsewhere; named as a counter is. */
  total(name: string, help: string, read: () => number, labels: Labels = {}): void {
    this.#family(name, help, 'counter').samples.push({ labels, read });
  }

  /** As `gauge`, for a sample of each of what `list` gives, whose labels differ from scrape to scrape. */
  gauges(name: string, help: string, list: () => Iterable<readonly [Labels, number]>): void {
    this.#family(name, help, 'gauge').list = list;
  }

  /** As `gauges`, of what is counted elsewhere. */
  totals(name: string, help: string, list: () => Iterable<readonly [Labels, number]>): void {
    this.#family(name, help, 'counter').list = list;
  }

  /** Of all counters of that name that have `labels`, whatever other labels they have. */
  sum(name: string, labels: Labels): number {
    this.#learn();
    const samples = this.#families.get(name)?.samples ?? [];
    const wanted = Object.entries(labels);
    const fitting = samples.filter((sample) => wanted.every(([label, value]) => sample.labels[label] === value));
    return fitting.reduce((sum, sample) => sum + sample.read(), 0);
  }

  /** The whole exposition, one family after another. */
  render(): string {
    this.#learn();
    let text = '';
    for (const family of this.#families.values()) {
      text += `# HELP ${family.name} ${family.help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')}\n`;
      text += `# TYPE ${family.name} ${family.type}\n`;
      for (const { labels, read } of family.samples) text += `${family.name}${renderLabels(labels)} ${read()}\n`;
      for (const [labels, value] of family.list?.() ?? []) text += `${family.name}${renderLabels(labels)} ${value}\n`;
    }
    return text;
  }

  /** What others have counted and nobody here has asked for yet. */
  #learn(): void {
    for (const name of this.#source.names()) {
      if (this.#learned.has(name)) continue;
      this.#learned.add(name);
      this.counter(...(JSON.parse(name) as [string, string, Labels]));
    }
  }

  #family(name: string, help: string, type: Family['type']): Family {
    let family = this.#families.get(name);
    if (!family) {
      family = { name, help, type, samples: [] };
      this.#families.set(name, family);
    }
    if (family.type !== type) throw new Error(`metric ${name} is a ${family.type}, not a ${type}`);
    return family;
  }
}

function renderLabels(labels: Labels): string {
  const pairs = Object.entries(labels).map(
    ([name, value]) => `${name}="${value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')}"`,
  );
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`;
}
