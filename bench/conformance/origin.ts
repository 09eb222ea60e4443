// The origin of the cache tests: their own handlers, on a free port of 127.0.0.1, which is sent to the parent. A process of its own.
// argv: the suite's directory.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

type Handler = (segments: string[], request: IncomingMessage, response: ServerResponse) => void;

async function handler(name: string): Promise<Handler> {
  const file = path.join(process.argv[2] ?? '', 'server', `handle-${name}.mjs`);
  const module: unknown = await import(pathToFileURL(file).href);
  const found: unknown = typeof module === 'object' && module !== null ? Reflect.get(module, 'default') : undefined;
  if (typeof found !== 'function') throw new TypeError(`${file} exports no handler`);
  return (...args) => void Reflect.apply(found, undefined, args);
}

// What they make of a request goes to the console, line by line; it is not wanted.
console.log = () => undefined;

const handlers = new Map<string, Handler>();
for (const name of ['config', 'test', 'state']) handlers.set(name, await handler(name));

const server = createServer((request, response) => {
  const [, first = '', ...segments] = new URL(request.url ?? '/', 'http://localhost').pathname.split('/');
  const handle = handlers.get(first);
  if (handle) handle(segments, request, response);
  // Probes: whether a server is up, and whether its origin is.
  else response.writeHead(200, { 'cache-control': 'no-store' }).end('ok\n');
});
server.listen(0, '127.0.0.1', () => {
  const address = server.address();
  if (typeof address === 'object' && address !== null) process.send?.({ port: address.port });
});
process.once('disconnect', () => process.exit());
