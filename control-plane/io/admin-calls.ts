// Between gRPC's calls and functions that return, or throw what io/grpc-errors.ts turns into a status.
import { type handleServerStreamingCall, type handleUnaryCall, status } from '@grpc/grpc-js';
import type { Log } from '../../infra/runtime/log.ts';
import { LIMITS } from '../../proto/limits.ts';
import type { Caller } from '../decide/audit.ts';
import type { AdminRpc } from '../decide/roles.ts';
import type { Access } from './access.ts';
import { Refusal, toServiceError } from './grpc-errors.ts';

/** Streams that are answered at the same time. */
const STREAMS = 1000;

export class AdminCalls {
  readonly #access: Access;
  readonly #log: Log;
  readonly #streams = new Set<AbortController>();

  constructor(access: Access, log: Log) {
    this.#access = access;
    this.#log = log;
  }

  /** Each call is made only for who may make `rpc`. */
  unary<Request, Response>(
    rpc: AdminRpc,
    answer: (request: Request, caller: Caller) => Response | Promise<Response>,
  ): handleUnaryCall<Request, Response> {
    return (call, callback) => {
      Promise.try(() => answer(call.request, this.#access.caller(rpc, call.getPeer(), call.metadata))).then(
        (response) => callback(null, response),
        (error: unknown) => callback(toServiceError(error, this.#log)),
      );
    };
  }

  /** `signal` tells `answer` that nobody listens any more. */
  stream<Request, Response>(
    rpc: AdminRpc,
    answer: (request: Request, say: (response: Response) => void, signal: AbortSignal, caller: Caller) => Promise<void>,
  ): handleServerStreamingCall<Request, Response> {
    return (call) => {
      const controller = new AbortController();
      const { signal } = controller;
      if (this.#streams.size >= STREAMS) {
        const busy = new Refusal(status.RESOURCE_EXHAUSTED, `${STREAMS} requests are being answered already`);
        call.emit('error', toServiceError(busy, this.#log));
        return;
      }
      this.#streams.add(controller);
      call.on('cancelled', () => controller.abort(new Refusal(status.CANCELLED, 'the caller is gone')));
      const say = (response: Response): void => {
        if (!signal.aborted) call.write(response);
      };
      Promise.try(() => answer(call.request, say, signal, this.#access.caller(rpc, call.getPeer(), call.metadata)))
        .then(() => {
          signal.throwIfAborted();
          call.end();
        })
        .catch((error: unknown) => {
          if (!call.cancelled) call.emit('error', toServiceError(error, this.#log));
        })
        .finally(() => this.#streams.delete(controller));
    };
  }

  /** Ends the streams that are being answered. */
  stop(): void {
    const reason = new Refusal(status.UNAVAILABLE, 'this control plane is stopping');
    for (const controller of this.#streams) controller.abort(reason);
  }
}

/** Throws a Refusal when an answer is to wait longer than anybody may. */
export function checkWait(field: string, ms: number): void {
  if (ms <= LIMITS.timeoutMs.max) return;
  throw new Refusal(status.INVALID_ARGUMENT, `${field}: expected at most ${LIMITS.timeoutMs.max}, found ${ms}`);
}
