// `meridian demo-origin`: one of the web servers that stand behind the local stack and the compose file.
import { createLog } from '../../infra/runtime/log.ts';
import { startDemoOrigin } from '../stack/origin.ts';
import { type Command, UsageError } from './command.ts';
import { serve } from './serve.ts';
import { endpoint, given, noMore } from './values.ts';

export const command: Command = {
  name: 'demo-origin',
  summary: 'Run a demonstration origin that says who it is',
  usage: ['demo-origin --name NAME'],
  description: [
    'A web server to stand behind an edge. It says who it is, and answers /healthz, /private, /slow?ms=N, /bytes/N, ' +
      '/status/N and /echo for what their names say. Its answers carry Cache-Control, ETag and Last-Modified, and ' +
      'conditional requests are honoured.',
  ],
  options: {
    name: { type: 'string', value: 'NAME', doc: 'What it calls itself. Required.' },
    city: { type: 'string', value: 'CITY', doc: 'Where it says it stands; its name where not given.' },
    listen: { type: 'string', value: 'HOST:PORT', default: '127.0.0.1:9001', doc: 'Where it listens.' },
  },
  examples: [{ line: 'meridian demo-origin --name oslo --listen 127.0.0.1:9005', doc: 'One more origin to try out.' }],

  async run(args, io) {
    noMore(args.positionals);
    const name = args.text('name');
    if (name === undefined) throw new UsageError('--name is missing: expected what the origin calls itself');
    const listen = endpoint(args, 'listen', given(args, 'listen'), 'listen');
    const colon = listen.lastIndexOf(':');
    const host = listen.slice(0, colon).replace(/^\[|\]$/g, '');
    const port = Number(listen.slice(colon + 1));
    const options = { name, city: args.text('city') ?? name, host, port, clock: io.clock };
    return serve('origin', io, createLog('demo-origin', 'info', { origin: name }), async () => {
      const origin = await startDemoOrigin(options);
      return { ports: { port: origin.port }, stop: () => origin.close() };
    });
  },
};
