// Preloaded into a process that a test starts, gives it a wall clock that jumps when its parent says so: {jumpMs}, forward or
// back. What measures durations (performance.now, timers) goes on as before, as when somebody sets a machine's clock.
const RealDate = Date;
let offset = 0;

class JumpingDate extends RealDate {
  constructor(...values: [] | [number]) {
    super(...((values.length === 0 ? [JumpingDate.now()] : values) as [number]));
  }

  static override now(): number {
    return RealDate.now() + offset;
  }
}

globalThis.Date = JumpingDate as DateConstructor;

process.on('message', (message) => {
  const jumpMs = typeof message === 'object' && message !== null && 'jumpMs' in message ? message.jumpMs : undefined;
  if (typeof jumpMs === 'number') offset += jumpMs;
});

// So that Node.js takes it for a module.
export {};
