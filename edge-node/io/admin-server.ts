// The operator's port of an edge: whether it lives, whether it can serve, and its metrics. Apart from the ports that clients
// use, so that it can be bound where only the operator reaches it.
//
//   /healthz  200 while the process answers at all
//   /readyz   200 when a snapshot serves, else 503; JSON with the reason and what is known
//   /metrics  Prometheus text exposition format 0.0.4
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { BoundSocket } from 'node:net';
import type { Log } from '../../infra/runtime/log.ts';
import type { Metrics } from '../../infra/runtime/metrics.ts';

export interface Readiness {
  readonly ready: boolean;
  /** One line: why not. */
  readonly reason?: string;
  /** More fields of the JSON body. */
  readonly details: Readonly<Record<string, string | number | boolean | null>>;
}

export interface AdminServerPorts {
  readonly log: Log;
  readonly metrics: Pick<Metrics, 'render'>;
  readiness(): Readiness;
}

export interface AdminServer {
  readonly port: number;
  /** Descriptors of its socket; empty where the system does not tell them. */
  readonly descriptors: readonly number[];
  /** Resolves when the port is free again. */
  close(): Promise<void>;
}

const MAX_CONNECTIONS = 100;

/**
 * Rejects with a message for the operator when it cannot listen on `host`, an address, and `port` (0: any free one). `handedOver`:
 * the descriptor of a socket that listens there already.
 */
export async function startAdminServer(
  ports: AdminServerPorts,
  host: string,
  port: number,
  handedOver?: number,
): Promise<AdminServer> {
  const limits = { maxHeaderSize: 8 * 1024, headersTimeout: 5_000, requestTimeout: 5_000, keepAliveTimeout: 5_000 };
  const server = createServer(limits, (request, response) => {
    try {
      answer(ports, request, response);
    } catch (error) {
      ports.log.error({ target: request.url, err: error }, 'failed to answer on the admin port');
      send(response, 500, 'text/plain; charset=utf-8', 'internal error; see the log\n');
    }
  });
  server.maxConnections = MAX_CONNECTIONS;
  let descriptor = handedOver ?? -1;
  await new Promise<void>((resolve, reject) => {
    const fail = (error: NodeJS.ErrnoException): void =>
      reject(new Error(explain(error, host, port), { cause: error }));
    server.once('error', fail);
    if (handedOver !== undefined) {
      server.listen({ fd: handedOver }, resolve);
      return;
    }
    try {
      const socket = new BoundSocket({ host, port });
      descriptor = socket.fd();
      server.listen({ handle: socket }, resolve);
    } catch (error) {
      fail(error instanceof Error ? error : new Error(String(error)));
    }
  });
  server.removeAllListeners('error');
  server.on('error', (error) => ports.log.error({ err: error }, 'the admin port failed'));
  const bound = server.address();
  return {
    port: bound !== null && typeof bound === 'object' ? bound.port : port,
    descriptors: descriptor < 0 ? [] : [descriptor],
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function answer(ports: AdminServerPorts, request: IncomingMessage, response: ServerResponse): void {
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    response.setHeader('allow', 'GET, HEAD');
    send(response, 405, 'text/plain; charset=utf-8', 'only GET and HEAD\n');
    return;
  }
  switch ((request.url ?? '').split('?')[0]) {
    case '/healthz':
      send(response, 200, 'text/plain; charset=utf-8', 'ok\n');
      return;
    case '/readyz': {
      const { ready, reason, details } = ports.readiness();
      const body = { ready, ...(reason === undefined ? {} : { reason }), ...details };
      send(response, ready ? 200 : 503, 'application/json', `${JSON.stringify(body)}\n`);
      return;
    }
    case '/metrics':
      send(response, 200, 'text/plain; version=0.0.4; charset=utf-8', ports.metrics.render());
      return;
    default:
      send(response, 404, 'text/plain; charset=utf-8', 'not found: there are /healthz, /readyz and /metrics\n');
  }
}

/** Node leaves the body out for HEAD. */
function send(response: ServerResponse, status: number, type: string, body: string): void {
  response.writeHead(status, {
    'content-type': type,
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
  });
  response.end(body);
}

function explain(error: NodeJS.ErrnoException, host: string, port: number): string {
  const where = `the admin port ${host}:${port}`;
  if (error.code === 'EADDRINUSE') return `${where} is in use: stop what listens there, or choose another port`;
  if (error.code === 'EACCES') return `${where} may not be opened by this user: choose a port above 1023`;
  if (error.code === 'EADDRNOTAVAIL') return `${where} is not on this machine: choose one of its own addresses`;
  return `${where} cannot be opened: ${error.message}`;
}
