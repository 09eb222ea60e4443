// One stream to one control plane, from the dial to its end: a gRPC channel and a call of its own, so that nothing of a
// failed attempt (back-off, half-open connections) lingers in the next.
import { type ClientDuplexStream, status as GrpcStatus, type StatusObject } from '@grpc/grpc-js';
import { grpcDial } from '../../infra/runtime/grpc-dial.ts';
import type { TlsMaterial } from '../../infra/runtime/tls-files.ts';
import {
  type ConnectRequest,
  type ConnectResponse,
  EdgeControlServiceClient,
} from '../../proto/gen/meridian/v1/edge.ts';
import { LIMITS } from '../../proto/limits.ts';

/** Messages that may wait to be written. More: the control plane does not read, and the stream ends. */
const MAX_QUEUED = 1_000;

const CHANNEL_OPTIONS = {
  'grpc.max_receive_message_length': LIMITS.messageBytes,
  'grpc.max_send_message_length': LIMITS.messageBytes,
  // A peer that vanished without a word is noticed within 7 s.
  'grpc.keepalive_time_ms': 4_000,
  'grpc.keepalive_timeout_ms': 3_000,
  'grpc.enable_retries': 0,
  // Proxy variables of the environment are for the world outside.
  'grpc.enable_http_proxy': 0,
  'grpc.use_local_subchannel_pool': 1,
};

export interface LinkEvents {
  onMessage(message: ConnectResponse): void;
  /** Called once, also for {@link ControlLink.close}. Nothing is called afterwards. */
  onClosed(end: LinkEnd): void;
}

export interface LinkEnd {
  /** "closed-here", or the name of a gRPC status in lower case with hyphens: "unavailable". For metrics. */
  readonly code: string;
  /** For people. */
  readonly detail: string;
}

export class ControlLink {
  readonly address: string;
  readonly #client: EdgeControlServiceClient;
  readonly #call: ClientDuplexStream<ConnectRequest, ConnectResponse>;
  readonly #events: LinkEvents;
  #closed = false;

  /** Dials `address` ("host:port") at once, in plain text without `tls`. Events come later, never from within the constructor. */
  constructor(address: string, tls: TlsMaterial | undefined, events: LinkEvents) {
    this.address = address;
    this.#events = events;
    const dial = grpcDial(address, tls);
    this.#client = new EdgeControlServiceClient(address, dial.credentials, { ...CHANNEL_OPTIONS, ...dial.options });
    this.#call = this.#client.connect();
    this.#call.on('data', (message: ConnectResponse) => {
      if (!this.#closed) events.onMessage(message);
    });
    // The status says it all; a stream without a listener for its error would end the process.
    this.#call.on('error', () => undefined);
    this.#call.on('status', (status: StatusObject) => this.#end(ofStatus(status)));
  }

  /** Queues one message. After the end it does nothing. */
  send(message: ConnectRequest['message']): void {
    if (this.#closed) return;
    if (this.#call.writableLength >= MAX_QUEUED) {
      this.close(`the control plane has left ${MAX_QUEUED} messages unread`);
      return;
    }
    this.#call.write({ message });
  }

  /** Ends the stream from this side. Safe to call twice. */
  close(detail: string): void {
    this.#end({ code: 'closed-here', detail });
  }

  #end(end: LinkEnd): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#call.cancel();
    this.#client.close();
    this.#events.onClosed(end);
  }
}

/** What an operator can do about a status, where the bare one does not say. */
const HINTS: Partial<Record<GrpcStatus, string>> = {
  [GrpcStatus.NOT_FOUND]: 'declare this edge with "meridian apply"',
  [GrpcStatus.ALREADY_EXISTS]: 'another process may be running under the name of this edge',
  [GrpcStatus.UNAUTHENTICATED]: 'give this edge a certificate that the control plane trusts',
  [GrpcStatus.PERMISSION_DENIED]: 'give this edge a certificate of its own name',
  [GrpcStatus.FAILED_PRECONDITION]: 'edge and control plane may be of releases too far apart',
};

function ofStatus({ code, details }: StatusObject): LinkEnd {
  const name = GrpcStatus[code] ?? String(code);
  const hint = HINTS[code];
  const detail = code === GrpcStatus.OK ? 'the control plane ended the stream' : `${name}: ${details}`;
  return { code: name.toLowerCase().replaceAll('_', '-'), detail: hint === undefined ? detail : `${detail} (${hint})` };
}
