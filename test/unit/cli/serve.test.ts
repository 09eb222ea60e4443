// A process of the planes: ready, stopped by a signal or with its parent, and never hung on by a second signal.
import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { test } from 'node:test';
import { Failure, type Io } from '../../../cli/commands/command.ts';
import { type Served, serve } from '../../../cli/commands/serve.ts';
import { seededRandom } from '../../../infra/runtime/random.ts';
import { FakeClock } from '../../support/fake-clock.ts';

class World {
  readonly clock = new FakeClock();
  readonly process = new EventEmitter();
  readonly sent: object[] = [];
  readonly exits: number[] = [];
  readonly logged: string[] = [];
  readonly stopping = Promise.withResolvers<void>();
  stops = 0;

  readonly #log = (_fields: object, message: string): void => {
    this.logged.push(message);
  };

  serve(start: () => Promise<Served> = () => Promise.resolve(this.served())): Promise<number> {
    const io: Io = {
      stdout: { write: () => true },
      stderr: { write: () => true },
      stdin: () => Promise.resolve(new Uint8Array()),
      env: {},
      colour: false,
      clock: this.clock,
      random: seededRandom(1),
      process: {
        on: (event, listener) => this.process.on(event, listener),
        removeListener: (event, listener) => this.process.removeListener(event, listener),
        send: (message) => this.sent.push(message),
        exit: (code) => this.exits.push(code),
      },
    };
    const log = { debug: this.#log, info: this.#log, warn: this.#log, error: this.#log };
    return serve('edge', io, log, start);
  }

  served(): Served {
    return {
      ports: { port: 8080, adminPort: 8090 },
      stop: () => {
        this.stops += 1;
        return this.stopping.promise;
      },
    };
  }
}

/** Lets what waits on settled promises go on. */
const settle = () => new Promise<void>((resolve) => setImmediate(resolve));

for (const event of ['SIGTERM', 'SIGINT', 'disconnect']) {
  test(`it says that it is ready, and ${event} stops it in order: exit code 0`, async () => {
    const world = new World();
    const code = world.serve();
    await settle();
    assert.deepEqual(world.sent, [{ ready: true, port: 8080, adminPort: 8090 }]);
    assert.equal(world.stops, 0);
    world.process.emit(event, event);
    await settle();
    assert.equal(world.stops, 1);
    world.stopping.resolve();
    assert.equal(await code, 0);
    assert.deepEqual(world.process.eventNames(), [], 'nothing listens any more');
    assert.deepEqual(world.exits, []);
  });
}

test('a Ctrl-C that arrives twice at once is one; a later one forces the end', async () => {
  const world = new World();
  const code = world.serve();
  await settle();
  world.process.emit('SIGINT', 'SIGINT');
  world.clock.advance(500);
  world.process.emit('SIGINT', 'SIGINT');
  assert.deepEqual(world.exits, []);
  world.clock.advance(1);
  world.process.emit('SIGTERM', 'SIGTERM');
  assert.deepEqual(world.exits, [130]);
  world.stopping.resolve();
  await code;
});

test('a signal while it is starting stops it as soon as it has started', async () => {
  const world = new World();
  const starting = Promise.withResolvers<Served>();
  const code = world.serve(() => starting.promise);
  world.process.emit('SIGTERM', 'SIGTERM');
  await settle();
  assert.equal(world.stops, 0);
  world.stopping.resolve();
  starting.resolve(world.served());
  assert.equal(await code, 0);
  assert.equal(world.stops, 1);
});

test('an uncaught error is one line in the log, and the end', async () => {
  const world = new World();
  const code = world.serve();
  await settle();
  world.process.emit('uncaughtException', new Error('boom'));
  assert.deepEqual([world.logged.at(-1), world.exits], ['uncaught error, ending: boom', [1]]);
  world.process.emit('unhandledRejection', 'no reason');
  assert.equal(world.logged.at(-1), 'uncaught error, ending: no reason');
  world.process.emit('SIGTERM', 'SIGTERM');
  world.stopping.resolve();
  await code;
});

test('what cannot be started is a failure that says why and what to do', async () => {
  const cases: readonly (readonly [object, RegExp])[] = [
    [{ code: 'EADDRINUSE' }, /^Failure: cannot start: listen 127\.0\.0\.1:1\. Another program listens there/],
    [{ code: 'EACCES' }, /A port below 1024/],
    [{ code: 'EADDRNOTAVAIL' }, /does not have that address/],
    [{}, /^Failure: cannot start: listen 127\.0\.0\.1:1$/],
  ];
  for (const [parts, message] of cases) {
    const world = new World();
    const error = Object.assign(new Error('listen 127.0.0.1:1'), parts);
    await assert.rejects(
      world.serve(() => Promise.reject(error)),
      (thrown) => thrown instanceof Failure && message.test(`Failure: ${thrown.message}`),
    );
    assert.deepEqual([world.sent, world.process.eventNames()], [[], []]);
  }
});

test('SIGHUP is for whoever has something to open anew, and is left alone by others', async () => {
  const world = new World();
  let reopened = 0;
  const reopen = (): void => {
    reopened += 1;
  };
  const code = world.serve(() => Promise.resolve({ ...world.served(), reopen }));
  await settle();
  world.process.emit('SIGHUP');
  world.process.emit('SIGHUP');
  assert.deepEqual([reopened, world.stops], [2, 0]);
  world.process.emit('SIGTERM');
  world.stopping.resolve();
  assert.equal(await code, 0);
  assert.equal(world.process.listenerCount('SIGHUP'), 0);
  const other = new World();
  void other.serve();
  await settle();
  assert.equal(other.process.listenerCount('SIGHUP'), 0);
  other.stopping.resolve();
  other.process.emit('SIGTERM');
});
