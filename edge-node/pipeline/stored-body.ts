// A stored body on its way to the client, at the client's pace: from the disk, or from slices.
import type { BodySink, OpenBody } from '../decide/cache/body-source.ts';
import type { Part } from '../decide/cache/ranges.ts';
import type { ExchangeEnd, Ports } from '../ports.ts';
import { type Exchange, finish } from './exchange.ts';

/**
 * Sends `pieces`, those of `body` and what stands between them; the client's answer has been begun with their length. What cannot be
 * read to its end is broken off.
 */
export function sendBody(x: Exchange, ports: Ports, body: OpenBody, pieces: readonly (Part | Buffer)[]): void {
  const { client } = x;
  const last = pieces.findLastIndex((piece) => !Buffer.isBuffer(piece));
  let sent = 0;
  let next = 0;
  const chunk = (bytes: Buffer): boolean => {
    sent += bytes.length;
    return client.write(bytes);
  };
  const over = (end: ExchangeEnd): void => finish(x, ports, end, sent);
  const go = (): void => {
    while (next < pieces.length) {
      const piece = pieces[next];
      next += 1;
      if (Buffer.isBuffer(piece)) chunk(piece);
      else if (piece !== undefined) {
        body.start(sink, piece.from, piece.to, next <= last);
        return;
      }
    }
    client.end();
    over('complete');
  };
  const sink: BodySink = {
    chunk,
    end: go,
    failed: (by) => {
      client.abort();
      over(by ?? 'edge-failed');
    },
  };
  client.onDrain = () => body.resume();
  client.onGone = () => {
    body.close();
    over('client-gone');
  };
  go();
}
