// A stored body on its way from the disk to the client, at the client's pace.
import type { OpenBody } from '../decide/cache/body-source.ts';
import type { Ports } from '../ports.ts';
import { type Exchange, finish } from './exchange.ts';

/** Sends bytes `from` ..< `to`; the client's answer has been begun with their number. What is damaged is broken off. */
export function sendBody(x: Exchange, ports: Ports, body: OpenBody, from: number, to: number): void {
  let sent = 0;
  x.client.onDrain = () => body.resume();
  x.client.onGone = () => {
    body.close();
    finish(x, ports, 'client-gone', sent);
  };
  const sink = {
    chunk: (chunk: Buffer): boolean => {
      sent += chunk.length;
      return x.client.write(chunk);
    },
    end: (): void => {
      x.client.end();
      finish(x, ports, 'complete', sent);
    },
    failed: (): void => {
      x.client.abort();
      finish(x, ports, 'edge-failed', sent);
    },
  };
  body.start(sink, from, to);
}
