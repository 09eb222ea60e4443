// What a client's SETTINGS frame asks for (RFC 9113 section 6.5). Of its values only the window matters here: heads are encoded
// without a table, frames have the size that everyone takes, nothing is pushed.
import { CODE, ConnectionError, FRAME_MAX, SETTING, WINDOW_MAX } from './codes.ts';

/** Values in one frame; there are some ten that mean something. */
const VALUES_MAX = 32;
const VALUE_BYTES = 6;
const FRAME_SIZE_TOP = 0xff_ffff;

/**
 * The initial window of streams that the payload at `window[start..stop)` sets, bytes; undefined: it sets none. Throws a
 * `ConnectionError` for values that may not be.
 */
export function readSettings(window: Buffer, start: number, stop: number): number | undefined {
  if (stop - start > VALUES_MAX * VALUE_BYTES) {
    throw new ConnectionError(CODE.enhanceYourCalm, `${(stop - start) / VALUE_BYTES} values in one SETTINGS frame`);
  }
  let initialWindow: number | undefined;
  for (let at = start; at < stop; at += VALUE_BYTES) {
    const value = window.readUInt32BE(at + 2);
    switch (window.readUInt16BE(at)) {
      case SETTING.enablePush:
        if (value > 1) fault(`ENABLE_PUSH of ${value}`);
        break;
      case SETTING.initialWindowSize:
        if (value > WINDOW_MAX) {
          throw new ConnectionError(CODE.flowControlError, `INITIAL_WINDOW_SIZE of ${value}`);
        }
        initialWindow = value;
        break;
      case SETTING.maxFrameSize:
        if (value < FRAME_MAX || value > FRAME_SIZE_TOP) fault(`MAX_FRAME_SIZE of ${value}`);
        break;
      default:
    }
  }
  return initialWindow;
}

function fault(message: string): never {
  throw new ConnectionError(CODE.protocolError, message);
}
