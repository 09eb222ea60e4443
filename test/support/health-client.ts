// A client of grpc.health.v1 with the octets written out, so that it is the protocol's and not ours that is spoken.
import type { TestContext } from 'node:test';
import { Client, type ClientReadableStream, credentials } from '@grpc/grpc-js';

/** "SERVING", "NOT_SERVING" ... */
type Name = string;
const NAMES = ['UNKNOWN', 'SERVING', 'NOT_SERVING', 'SERVICE_UNKNOWN'];

/** HealthCheckRequest {string service = 1}. */
const request = (service: string): Buffer =>
  service === '' ? Buffer.alloc(0) : Buffer.concat([Buffer.of(0x0a, service.length), Buffer.from(service)]);

/** HealthCheckResponse {ServingStatus status = 1}. */
const name = (bytes: Buffer): Name => NAMES[bytes.readUInt8(1)] ?? bytes.toString('hex');

export class HealthClient {
  readonly #client: Client;

  constructor(t: TestContext, port: number) {
    this.#client = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
    t.after(() => this.#client.close());
  }

  check(service: string): Promise<Name> {
    return new Promise((resolve, reject) => {
      this.#client.makeUnaryRequest('/grpc.health.v1.Health/Check', request, name, service, (error, status) => {
        if (error || status === undefined) reject(error);
        else resolve(status);
      });
    });
  }

  watch(service: string): ClientReadableStream<Name> {
    return this.#client.makeServerStreamRequest('/grpc.health.v1.Health/Watch', request, name, service);
  }
}
