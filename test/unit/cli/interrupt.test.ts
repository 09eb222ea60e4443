// What ends a command that goes on until somebody ends it.
import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { test } from 'node:test';
import type { Io } from '../../../cli/commands/command.ts';
import { listenForInterrupt } from '../../../cli/commands/interrupt.ts';

function listen() {
  const emitter = new EventEmitter();
  const process = {
    on: (event: string, listener: () => void) => emitter.on(event, listener),
    removeListener: (event: string, listener: () => void) => emitter.removeListener(event, listener),
    exit: () => assert.fail('it ends by itself'),
  };
  const interrupt = listenForInterrupt({ process } as unknown as Io);
  return { emitter, interrupt };
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  test(`${signal} is taken, and taken again while what it asked for is done`, async () => {
    const { emitter, interrupt } = listen();
    emitter.emit(signal);
    await interrupt.asked;
    interrupt.close();
    assert.equal(emitter.listenerCount(signal), 1);
  });
}

test('a command that ended without a signal leaves nothing behind', () => {
  const { emitter, interrupt } = listen();
  interrupt.close();
  assert.deepEqual(emitter.eventNames(), []);
});
