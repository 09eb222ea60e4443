// A control plane that does what a test says: a real gRPC server on the loopback interface, without any state behind it.
import { Server, ServerCredentials, type ServerDuplexStream, type UntypedServiceImplementation } from '@grpc/grpc-js';
import { type ConnectRequest, ConnectResponse, EdgeControlServiceService } from '../../proto/gen/meridian/v1/edge.ts';
import { until } from './until.ts';

type Up = NonNullable<ConnectRequest['message']>;
type UpOf = { [M in Up as M['$case']]: M };
type Down = NonNullable<ConnectResponse['message']>;
/** Bytes go out as they are, well formed or not. */
type Outgoing = ConnectResponse | Buffer;

const SERVICE = {
  connect: {
    ...EdgeControlServiceService.connect,
    responseSerialize: (value: Outgoing) =>
      Buffer.isBuffer(value) ? value : Buffer.from(ConnectResponse.encode(value).finish()),
  },
};

/** One stream of one edge. */
export class FakeStream {
  /** Everything that came, in order. */
  readonly received: Up[] = [];
  /** Whether the edge, or the connection, ended it. */
  ended = false;
  readonly #call: ServerDuplexStream<ConnectRequest, Outgoing>;
  readonly #untaken: Up[] = [];

  constructor(call: ServerDuplexStream<ConnectRequest, Outgoing>) {
    this.#call = call;
    call.on('data', ({ message }: ConnectRequest) => {
      if (!message) return;
      this.received.push(message);
      this.#untaken.push(message);
    });
    for (const event of ['end', 'cancelled', 'error']) {
      call.on(event, () => {
        this.ended = true;
      });
    }
  }

  send(message: Down): void {
    this.#call.write({ message });
  }

  sendBytes(bytes: Buffer): void {
    this.#call.write(bytes);
  }

  /** Ends it with a status, OK when none is given. */
  end(code?: number, details = ''): void {
    if (code === undefined) this.#call.end();
    else this.#call.emit('error', { code, details });
  }

  /** The next message of a kind that was not taken yet. */
  async take<K extends Up['$case']>(kind: K): Promise<UpOf[K]['value']> {
    const isWanted = (message: Up): message is UpOf[K] => message.$case === kind;
    await until(`a ${kind}`, () => this.#untaken.some(isWanted));
    const message = this.#untaken.find(isWanted);
    if (!message) throw new Error(`no ${kind}`);
    this.#untaken.splice(this.#untaken.indexOf(message), 1);
    return message.value;
  }
}

export class FakeControlPlane {
  /** "127.0.0.1:PORT" */
  readonly address: string;
  readonly streams: FakeStream[] = [];
  readonly #server: Server;
  #taken = 0;

  private constructor(server: Server, address: string) {
    this.#server = server;
    this.address = address;
  }

  static async start(): Promise<FakeControlPlane> {
    const server = new Server();
    const accept = (call: ServerDuplexStream<ConnectRequest, Outgoing>): void => {
      plane.streams.push(new FakeStream(call));
    };
    server.addService(SERVICE, { connect: accept } as UntypedServiceImplementation);
    const port = await new Promise<number>((resolve, reject) => {
      server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
        error ? reject(error) : resolve(bound),
      );
    });
    const plane = new FakeControlPlane(server, `127.0.0.1:${port}`);
    return plane;
  }

  /** The next stream that was not handed out yet. */
  async accept(): Promise<FakeStream> {
    const index = this.#taken;
    this.#taken += 1;
    await until(`stream ${index + 1}`, () => this.streams.length > index);
    const stream = this.streams[index];
    if (!stream) throw new Error('no stream');
    return stream;
  }

  /** Breaks every connection and closes the port, as a process that is killed does. */
  kill(): void {
    this.#server.forceShutdown();
  }
}
