// Messages that are small on the wire and large when they are unpacked: gRPC lets a peer compress what it sends.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ServiceError, status } from '@grpc/grpc-js';
import { grpcDial } from '../../../infra/runtime/grpc-dial.ts';
import { AdminServiceClient } from '../../../proto/gen/meridian/v1/admin.ts';
import { LIMITS } from '../../../proto/limits.ts';
import { client, materialOf } from '../../support/certs.ts';
import { startTlsPlane, URIS } from '../../support/tls-plane.ts';

const GZIP = 2;

test('a message that unpacks to more than a message may have is refused, and the connection goes on', async (t) => {
  const plane = await startTlsPlane(t);
  const address = `127.0.0.1:${plane.adminPort}`;
  const dial = grpcDial(address, await materialOf(client(URIS.reader)));
  const packing = { 'grpc.default_compression_algorithm': GZIP, 'grpc.max_send_message_length': -1 };
  const reader = new AdminServiceClient(address, dial.credentials, { ...dial.options, ...packing });
  t.after(() => reader.close());
  const explain = (length: number) => {
    const { promise, resolve } = Promise.withResolvers<ServiceError | null>();
    reader.explain({ url: 'x'.repeat(length), ip: '', edge: '' }, (error) => resolve(error));
    return promise;
  };
  const sound = await explain(1_000_000);
  assert.equal(sound?.code, status.INVALID_ARGUMENT, 'what fits when it is unpacked is read');
  assert.equal((await explain(LIMITS.messageBytes + 1))?.code, status.RESOURCE_EXHAUSTED);
  assert.equal((await explain(10))?.code, status.INVALID_ARGUMENT);
});
