// The health service that load balancers and orchestrators ask (grpc.health.v1, of the gRPC Health Checking Protocol): Check and
// Watch. Two messages of one field each, so they are read and written here.
import { BinaryReader, BinaryWriter } from '@bufbuild/protobuf/wire';
import {
  type Server,
  type ServerUnaryCall,
  type ServerWritableStream,
  type ServiceDefinition,
  type sendUnaryData,
  status,
} from '@grpc/grpc-js';
import type { Clock, Timer } from '../../infra/runtime/clock.ts';
import { serviceError } from './grpc-errors.ts';

/** HealthCheckResponse.ServingStatus. */
const STATUS = { serving: 1, notServing: 2, serviceUnknown: 3 } as const;
type Status = (typeof STATUS)[keyof typeof STATUS];

const LOOK_MS = 1000;
/** Watches at the same time. */
const WATCHES = 100;

/** The name of a service, empty for the server as a whole. */
interface HealthCheckRequest {
  readonly service: string;
}

type WatchCall = ServerWritableStream<HealthCheckRequest, Status>;

const requests = {
  requestStream: false,
  requestSerialize: ({ service }: HealthCheckRequest) =>
    Buffer.from(new BinaryWriter().uint32(10).string(service).finish()),
  requestDeserialize(bytes: Buffer): HealthCheckRequest {
    const reader = new BinaryReader(bytes);
    let service = '';
    while (reader.pos < reader.len) {
      const [field, type] = reader.tag();
      if (field === 1) service = reader.string();
      else reader.skip(type, field);
    }
    return { service };
  },
  responseSerialize: (code: Status) => Buffer.from(new BinaryWriter().uint32(8).int32(code).finish()),
  // For clients; this is none.
  responseDeserialize: (bytes: Buffer) => bytes,
};

const DEFINITION: ServiceDefinition = {
  check: { path: '/grpc.health.v1.Health/Check', responseStream: false, ...requests },
  watch: { path: '/grpc.health.v1.Health/Watch', responseStream: true, ...requests },
};

export class GrpcHealth {
  readonly #services: ReadonlySet<string>;
  readonly #ready: () => boolean;
  readonly #clock: Clock;
  /** What each was told last. */
  readonly #watches = new Map<WatchCall, Status>();
  #timer: Timer | undefined;
  #stopped = false;

  /** `services`: full names of those on this server. `ready`: whether calls to them are of use. */
  constructor(server: Server, services: readonly string[], ready: () => boolean, clock: Clock) {
    this.#services = new Set(['', ...services]);
    this.#ready = ready;
    this.#clock = clock;
    server.addService(DEFINITION, {
      check: ({ request }: ServerUnaryCall<HealthCheckRequest, Status>, answer: sendUnaryData<Status>) => {
        if (this.#services.has(request.service)) answer(null, this.#now);
        else answer(serviceError(status.NOT_FOUND, 'there is no service of this name here'));
      },
      watch: (call: WatchCall) => this.#watch(call),
    });
  }

  /** Says a last time that nothing is served, and ends the watches. */
  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
    this.#look();
    for (const call of this.#watches.keys()) call.end();
    this.#watches.clear();
  }

  get #now(): Status {
    return !this.#stopped && this.#ready() ? STATUS.serving : STATUS.notServing;
  }

  #watch(call: WatchCall): void {
    if (this.#watches.size >= WATCHES) {
      call.emit('error', serviceError(status.RESOURCE_EXHAUSTED, `${WATCHES} watches are open already`));
      return;
    }
    const told = this.#services.has(call.request.service) ? this.#now : STATUS.serviceUnknown;
    this.#watches.set(call, told);
    call.write(told);
    call.on('cancelled', () => this.#watches.delete(call));
    call.on('close', () => this.#watches.delete(call));
    this.#timer ??= this.#clock.every(LOOK_MS, () => this.#look());
  }

  /** Who does not read is told when it does: statuses are few, and each replaces the one before. */
  #look(): void {
    for (const [call, told] of this.#watches) {
      if (told === STATUS.serviceUnknown || told === this.#now || call.writableNeedDrain) continue;
      this.#watches.set(call, this.#now);
      call.write(this.#now);
    }
  }
}
