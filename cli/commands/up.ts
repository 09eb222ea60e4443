// `meridian up`: the local stack.
import type { Command } from './command.ts';
import { Failure } from './command.ts';

export const command: Command = {
  name: 'up',
  summary: 'Run the local stack: a control plane, edges in several regions and demo origins',
  usage: ['up'],
  description: ['Runs everything on this machine until Ctrl-C.'],
  options: {},
  examples: [{ line: 'meridian up', doc: 'Start the local stack.' }],
  run: () => Promise.reject(new Failure('the local stack is not part of this build')),
};
