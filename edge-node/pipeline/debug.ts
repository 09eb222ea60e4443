// An exchange whose client may see inside: the engine runs it as any other, between a client's end that leaves the secret out of
// the request, so that neither key nor origin ever has it, and adds to the answer what became of it.
import { formatVersion } from '../../proto/version.ts';
import type { RequestHead } from '../decide/admit.ts';
import { DEBUG_FIELD, debugText, withDebug } from '../decide/debug-text.ts';
import { type FieldList, withoutFields } from '../decide/fields.ts';
import type { ClientPort, Ports, RequestBody } from '../ports.ts';
import { Exchange } from './exchange.ts';

const SECRET: ReadonlySet<string> = new Set([DEBUG_FIELD]);

/** `startedAt`: monotonic milliseconds. */
export function debuggedExchange(client: ClientPort, startedAt: number, ports: Ports): Exchange {
  const debugged = new DebuggedClient(client, ports);
  const exchange = new Exchange(debugged, startedAt);
  debugged.exchange = exchange;
  return exchange;
}

/** Has no `answerPrepared`: that is what others are given, too. */
class DebuggedClient implements ClientPort {
  readonly request: RequestHead;
  exchange: Exchange | undefined = undefined;
  switchProtocols?: (protocol: string, fields: FieldList) => RequestBody;
  readonly #client: ClientPort;
  readonly #ports: Ports;

  constructor(client: ClientPort, ports: Ports) {
    const { request } = client;
    this.request = { ...request, fields: withoutFields(request.fields, SECRET), recurring: false };
    this.#client = client;
    this.#ports = ports;
    if (client.switchProtocols) {
      this.switchProtocols = (protocol, fields) => client.switchProtocols?.(protocol, fields) ?? noTunnel();
    }
  }

  get body(): RequestBody | undefined {
    return this.#client.body;
  }

  answer(status: number, fields: FieldList, body: Buffer | undefined, length: number | undefined): void {
    this.#client.answer(status, withDebug(fields, this.#text()), body, length);
  }

  inform(status: number, fields: FieldList): void {
    this.#client.inform(status, fields);
  }

  begin(status: number, fields: FieldList, length: number | undefined): void {
    this.#client.begin(status, withDebug(fields, this.#text()), length);
  }

  write(chunk: Uint8Array): boolean {
    return this.#client.write(chunk);
  }

  get retains(): boolean {
    return this.#client.retains ?? true;
  }

  end(trailers?: FieldList): void {
    this.#client.end(trailers);
  }

  abort(): void {
    this.#client.abort();
  }

  get onDrain(): (() => void) | undefined {
    return this.#client.onDrain;
  }

  set onDrain(call: (() => void) | undefined) {
    this.#client.onDrain = call;
  }

  get onGone(): (() => void) | undefined {
    return this.#client.onGone;
  }

  set onGone(call: (() => void) | undefined) {
    this.#client.onGone = call;
  }

  #text(): string {
    const { edge, clock, barrier } = this.#ports;
    const x = this.exchange;
    if (!x) return debugText({ ...NOTHING, edge, now: clock.now(), purges: barrier.current });
    const { entry, site, route, origin, failure } = x;
    const fromDisk = entry !== undefined && (entry.source !== undefined || x.found?.includes(entry) === true);
    return debugText({
      edge,
      version: x.serving && formatVersion(x.serving.snapshot.version),
      client: x.addressOfClient(),
      site: site?.name,
      route: route?.pathPrefix,
      pool: route?.pool.name,
      key: x.key,
      outcome: x.outcome,
      forward: x.outcome === 'hit' || x.outcome === 'none' ? undefined : x.forward,
      tier: entry && (fromDisk ? 'disk' : 'memory'),
      head: x.freshHead ?? entry?.head,
      now: clock.now(),
      origin: origin?.name,
      attempts: x.attempt,
      purges: barrier.current,
      failure: failure?.code,
    });
  }
}

const NOTHING = {
  version: undefined,
  client: '',
  site: undefined,
  route: undefined,
  pool: undefined,
  key: '',
  outcome: 'none',
  forward: undefined,
  tier: undefined,
  head: undefined,
  origin: undefined,
  attempts: 0,
  failure: undefined,
} as const;

function noTunnel(): never {
  throw new Error('the client has no tunnel any more');
}
