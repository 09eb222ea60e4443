// collapse: the request waits for another that has asked an origin for the same, or asks for itself, and others may wait for it.
import type { StepFunction } from '../run.ts';

export const collapse: StepFunction<'collapse'> = (x, engine) => {
  // Parts, and heads alone, are asked for as the client asks.
  const whole = x.request.method === 'GET' && x.requestClass?.kind === 'lookup' && !x.requestClass.range;
  return whole ? engine.fills.enter(x, engine) : 'choose';
};
