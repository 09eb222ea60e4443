// Under which number each site is counted, in shared memory and in metrics: the same in all threads, for as long as the process
// lives. There are so many and no more, since a number stays taken when its site is gone; sites that come after that are counted
// together.

/** The number of all sites that have none of their own, and what metrics call them. No site has that name. */
export const OTHER_SITES = 0;
const OTHERS = '(other)';
/** Numbers there are, that of the others among them. */
export const SITE_NUMBERS = 256;

export class SiteNumbers {
  readonly #numbers = new Map<string, number>();

  /** Numbers those of `names` that have none yet, while there are any left; all that are numbered. */
  assign(names: readonly string[]): ReadonlyMap<string, number> {
    for (const name of names) {
      if (this.#numbers.size + 1 >= SITE_NUMBERS) break;
      if (!this.#numbers.has(name)) this.#numbers.set(name, this.#numbers.size + 1);
    }
    return this.#numbers;
  }

  /** What there is to be told of by number, the others last. */
  *labels(): Generator<readonly [site: string, number: number]> {
    yield* this.#numbers;
    yield [OTHERS, OTHER_SITES];
  }
}

/** What metrics call a site. */
export function siteLabel(name: string, number: number): string {
  return number === OTHER_SITES ? OTHERS : name;
}
