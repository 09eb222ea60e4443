// For probes and scrapers: GET /healthz (the process runs), /readyz (the store is in sight), /metrics. It tells nothing that
// would have to be kept from who can reach it.
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { Metrics } from '../../infra/runtime/metrics.ts';
import { parseListen } from '../decide/listen.ts';
import { ListenError, listenError } from './grpc-server.ts';

export interface HttpService {
  readonly port: number;
  stop(): Promise<void>;
}

/** `notReady`: why the control plane is not ready; undefined when it is. Throws a ListenError. */
export async function startHttpService(
  listen: string,
  metrics: Metrics,
  notReady: () => string | undefined,
): Promise<HttpService> {
  const address = parseListen(listen);
  if (address.kind === 'malformed') throw new ListenError(`where to listen for HTTP: ${address.reason}`);
  const readiness = (reason: string | undefined): readonly [number, string] =>
    reason === undefined ? [200, 'ready\n'] : [503, `not ready: ${reason}\n`];
  const pages = new Map<string, () => readonly [number, string]>([
    ['/healthz', () => [200, 'ok\n']],
    ['/readyz', () => readiness(notReady())],
    ['/metrics', () => [200, metrics.render()]],
  ]);
  const server = createServer({ requestTimeout: 5000, headersTimeout: 5000 }, (request, response) => {
    const page = pages.get(request.url ?? '');
    const [code, body] =
      request.method !== 'GET' && request.method !== 'HEAD'
        ? [405, 'only GET and HEAD\n']
        : (page?.() ?? [404, `there are ${[...pages.keys()].join(', ')}\n`]);
    response.writeHead(code, {
      'content-type': 'text/plain; version=0.0.4; charset=utf-8',
      'cache-control': 'no-store',
    });
    response.end(body);
  });
  server.maxConnections = 100;
  server.listen({ host: address.host, port: address.port });
  try {
    await once(server, 'listening');
  } catch (error) {
    throw listenError('HTTP', listen, error);
  }
  const bound = server.address();
  return {
    port: typeof bound === 'object' && bound ? bound.port : address.port,
    async stop() {
      server.close();
      server.closeAllConnections();
    },
  };
}
