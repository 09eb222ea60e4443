// The request as a table: the steps, what each does, and which may follow it. The interpreter (run.ts) and the types of the
// steps are made from it, and so is the diagram in ARCHITECTURE.md: what is not in the table does not type-check.

interface StepRow {
  readonly does: string;
  readonly next: readonly string[];
  /** The step hands the request to the world and goes on when that answers. */
  readonly waits?: true;
}

export const TABLE = {
  admit: {
    does: 'pins the snapshot; method, host, canonical target, loops',
    next: ['route', 'refuse'],
  },
  route: {
    does: 'host to site, path to route',
    next: ['lookUp', 'refuse'],
  },
  lookUp: {
    does: 'cache key, variant, purge barrier, freshness; once more when the disk has answered',
    next: ['lookUp', 'respond', 'collapse', 'choose', 'refuse'],
    waits: true,
  },
  collapse: {
    does: 'waits for another request that asks an origin for the same, or lets others wait for this one',
    next: ['choose', 'lookUp', 'respond', 'refuse'],
    waits: true,
  },
  choose: {
    does: 'ranks origins by distance from the client, walks them by health',
    next: ['fetch', 'respond', 'refuse'],
  },
  fetch: {
    does: 'sends the request to the origin; the barrier is noted here',
    next: ['refresh', 'slice', 'store', 'choose', 'respond', 'tunnel', 'refuse'],
    waits: true,
  },
  refresh: {
    does: '304: merges into what is stored, or asks anew',
    next: ['respond', 'fetch'],
  },
  slice: {
    does: 'a part of a large answer: its first slice from the cache, as soon as it is there, or what an origin has sent of it',
    next: ['respond', 'lookUp', 'collapse', 'choose', 'fetch', 'refresh', 'store', 'refuse'],
    waits: true,
  },
  store: {
    does: 'decides whether the answer may be stored; opens the tee',
    next: ['respond', 'refuse'],
  },
  respond: {
    does: 'sends the answer, from the cache or through the tee',
    next: ['slice', 'done'],
  },
  tunnel: {
    does: 'passes on that the origin switches protocols',
    next: ['done'],
  },
  refuse: {
    does: 'turns a failure into an answer',
    next: ['done'],
  },
} as const satisfies Readonly<Record<string, StepRow>>;

export type Step = keyof typeof TABLE;

/** What may follow step `S`. */
export type Next<S extends Step> = (typeof TABLE)[S]['next'][number];

/** What step `S` may return: a step that follows it, or, where the table lets it, that it waits. */
export type Outcome<S extends Step> = Next<S> | ((typeof TABLE)[S] extends { readonly waits: true } ? 'wait' : never);
