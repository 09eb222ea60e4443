// collapse: the request waits for another that has asked an origin for the same, or asks for itself, and others may wait for it.
import type { StepFunction } from '../run.ts';
import { partToAsk } from '../slices/asking.ts';

export const collapse: StepFunction<'collapse'> = (x, engine) => {
  // Heads alone, and parts that are no slices, are asked for as the client asks.
  const lookedUp = x.request.method === 'GET' && x.requestClass?.kind === 'lookup' ? x.requestClass : undefined;
  const isShared = lookedUp !== undefined && (!lookedUp.range || partToAsk(x, engine) !== undefined);
  return isShared ? engine.fills.enter(x, engine) : 'choose';
};
