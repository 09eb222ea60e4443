// tunnel: the origin has agreed to switch protocols, and so does the client's connection. What then goes to the client passes
// through the tee like a body of unknown length.
import { WEBSOCKET } from '../../decide/upgrade.ts';
import { required } from '../exchange.ts';
import type { StepFunction } from '../run.ts';

export const tunnel: StepFunction<'tunnel'> = (x) => {
  const { status, fields } = required(x.answer, 'answer');
  x.fromClient = x.client.switchProtocols?.(WEBSOCKET, fields);
  x.responded = true;
  x.status = status;
  required(x.tee, 'tee').relay(undefined);
  return 'done';
};
