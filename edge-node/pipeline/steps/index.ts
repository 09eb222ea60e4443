// The functions behind the table, one for each step.
import type { Steps } from '../run.ts';
import { admit, route } from './admission.ts';
import { refuse, respond } from './answer.ts';
import { lookUp, refresh, store } from './cache.ts';
import { collapse } from './collapse.ts';
import { choose, fetch } from './origin.ts';
import { slice } from './slice.ts';
import { tunnel } from './tunnel.ts';

export const STEPS: Steps = {
  admit,
  route,
  lookUp,
  collapse,
  choose,
  fetch,
  refresh,
  slice,
  store,
  respond,
  tunnel,
  refuse,
};
