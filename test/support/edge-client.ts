// The edge's end of its stream to a control plane, with nothing behind it: a test says what it answers.

import type { TestContext } from 'node:test';
import type { ServiceError } from '@grpc/grpc-js';
import { grpcDial } from '../../infra/runtime/grpc-dial.ts';
import type { TlsMaterial } from '../../infra/runtime/tls-files.ts';
import {
  type ConnectRequest,
  type ConnectResponse,
  type CountQuestion,
  EdgeControlServiceClient,
  type ExplainQuestion,
  type Hello,
  type SnapshotUpdate,
} from '../../proto/gen/meridian/v1/edge.ts';
import type { HealthView } from '../../proto/gen/meridian/v1/health.ts';
import type { PurgeBatch } from '../../proto/gen/meridian/v1/purge.ts';
import { PROTOCOL_VERSION } from '../../proto/version.ts';

type Up = NonNullable<ConnectRequest['message']>;
type Down = NonNullable<ConnectResponse['message']>;
interface Values {
  readonly snapshot: SnapshotUpdate;
  readonly purges: PurgeBatch;
  readonly healthView: HealthView;
  readonly explain: ExplainQuestion;
  readonly count: CountQuestion;
}

export interface TestEdge {
  /** All that came, in order. */
  readonly received: Down[];
  send(message: Up): void;
  /** The next message of this kind that was not taken yet; those of other kinds stay. Rejects when the stream ends first. */
  take<Case extends keyof Values>(kind: Case): Promise<Values[Case]>;
  /** How the stream ended; code 0 when in order. */
  readonly ended: Promise<{ readonly code: number; readonly details: string }>;
  /** Reads nothing more, until it resumes. */
  pause(): void;
  resume(): void;
  /** Ends the stream from this side. */
  close(): void;
}

/** Dials, over TLS with `tls`, and says nothing yet. */
export function dialEdge(t: TestContext, port: number, tls?: TlsMaterial): TestEdge {
  const address = `127.0.0.1:${port}`;
  const dial = grpcDial(address, tls);
  const client = new EdgeControlServiceClient(address, dial.credentials, {
    ...dial.options,
    // A subchannel of its own, as another process would have.
    'grpc.use_local_subchannel_pool': 1,
    'grpc.max_receive_message_length': -1,
    // The protocol's own default, so that an edge that does not read is felt soon.
    'grpc-node.flow_control_window': 65_535,
  });
  const call = client.connect();
  const received: Down[] = [];
  const untaken: Down[] = [];
  const end = Promise.withResolvers<{ code: number; details: string }>();
  let over: string | undefined;
  let woken = Promise.withResolvers<void>();
  const wake = (): void => {
    woken.resolve();
    woken = Promise.withResolvers();
  };
  call.on('data', ({ message }: ConnectResponse) => {
    if (!message) return;
    received.push(message);
    untaken.push(message);
    wake();
  });
  call.on('error', (error: ServiceError) => {
    over = error.details;
    end.resolve({ code: error.code, details: error.details });
    wake();
  });
  call.on('end', () => {
    over ??= 'in order';
    end.resolve({ code: 0, details: '' });
    wake();
  });
  const close = (): void => {
    call.cancel();
    client.close();
  };
  t.after(close);
  return {
    received,
    send: (message) => call.write({ message }),
    async take(kind) {
      for (;;) {
        const message = untaken.find((candidate) => is(candidate, kind));
        if (message) {
          untaken.splice(untaken.indexOf(message), 1);
          return message.value;
        }
        if (over !== undefined) throw new Error(`the stream ended (${over}) without a message "${kind}"`);
        await woken.promise;
      }
    },
    ended: end.promise,
    pause: () => call.pause(),
    resume: () => call.resume(),
    close,
  };
}

function is<Case extends keyof Values>(message: Down, kind: Case): message is Down & { value: Values[Case] } {
  return message.$case === kind;
}

/** Dials and introduces itself: by default as an edge that has nothing. */
export function connectEdge(
  t: TestContext,
  port: number,
  edge: string,
  hello: Partial<Hello> = {},
  tls?: TlsMaterial,
): TestEdge {
  const connection = dialEdge(t, port, tls);
  const value: Hello = {
    protocolVersion: PROTOCOL_VERSION,
    edge,
    instance: 'test',
    softwareVersion: '0.0.0',
    applied: undefined,
    parked: undefined,
    purgePosition: undefined,
    // It keeps nothing that a change could be applied to.
    whole: true,
    ...hello,
  };
  connection.send({ $case: 'hello', value });
  return connection;
}
