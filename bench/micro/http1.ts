// Nanoseconds to read a request head and to write a response head, for a request as load generators send it and one as
// browsers do. `node bin/node26.js bench/micro/http1.ts`. Prints the best of several rounds: the others had company.
import { ParserShared, RequestParser } from '../../edge-node/decide/http1/request-parser.ts';
import { DateText, headText } from '../../edge-node/decide/http1/response-head.ts';

const LIMITS = { headBytes: 32 * 1024, fieldCount: 128, targetBytes: 8192 };
const ROUNDS = 7;
const CALLS = 300_000;

/** Prints what one call of `work` costs; it gets the number of the call and returns anything that it computed. */
function measure(name: string, work: (i: number) => number): void {
  let best = Number.POSITIVE_INFINITY;
  let sum = 0;
  for (let round = 0; round < ROUNDS; round += 1) {
    const start = process.hrtime.bigint();
    for (let i = 0; i < CALLS; i += 1) sum += work(i);
    best = Math.min(best, Number(process.hrtime.bigint() - start) / CALLS);
  }
  console.log(`${name.padEnd(52)} ${best.toFixed(0).padStart(6)} ns${sum === -1 ? '!' : ''}`);
}

const wrk = Buffer.from('GET /assets/logo.svg HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n');
const browser = (tag: number): Buffer =>
  Buffer.from(
    [
      'GET /assets/app/main-3f9c1a.js?v=12 HTTP/1.1',
      'Host: www.example.com',
      'Connection: keep-alive',
      'sec-ch-ua: "Chromium";v="130", "Google Chrome";v="130", "Not?A_Brand";v="99"',
      'sec-ch-ua-mobile: ?0',
      'sec-ch-ua-platform: "macOS"',
      'Upgrade-Insecure-Requests: 1',
      'User-Agent: Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0',
      'Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8',
      'Sec-Fetch-Site: same-origin',
      'Sec-Fetch-Mode: navigate',
      'Sec-Fetch-User: ?1',
      'Sec-Fetch-Dest: document',
      'Referer: https://www.example.com/products/list?page=2',
      'Accept-Encoding: gzip, deflate, br, zstd',
      'Accept-Language: en-GB,en;q=0.9,de;q=0.8',
      'Cookie: session=0123456789abcdef0123456789abcdef; theme=dark; consent=1',
      `If-None-Match: "33a64df551425fcc55e4d42a148795d9f25f8${String(tag).padStart(3, '0')}"`,
      'Cache-Control: max-age=0',
      'Pragma: no-cache',
      'Priority: u=0, i',
      '\r\n',
    ].join('\r\n'),
  );

function parseEach(name: string, requests: readonly Buffer[]): void {
  const parser = new RequestParser(new ParserShared(LIMITS));
  measure(name, (i) => {
    const request = requests[i % requests.length] ?? wrk;
    const outcome = parser.parse(request, 0, request.length);
    return outcome.kind === 'request' ? outcome.end : -1e9;
  });
}

parseEach('parse: load generator, repeated', [wrk]);
parseEach(
  'parse: load generator, each time another Host',
  Array.from({ length: 1000 }, (_, i) =>
    Buffer.from(`GET /assets/logo.svg HTTP/1.1\r\nHost: h${i}.example.com\r\n\r\n`),
  ),
);
parseEach('parse: browser, repeated', [browser(0)]);
parseEach('parse: browser, two in turn', [browser(0), browser(1)]);
parseEach(
  'parse: browser, each time another If-None-Match',
  Array.from({ length: 1000 }, (_, i) => browser(i)),
);

const stored = [
  ['content-type', 'text/html; charset=utf-8', 'cache-control', 'public, max-age=3600', 'etag', '"33a64df551425fcc"'],
  [
    'last-modified',
    'Sun, 06 Nov 1994 08:49:37 GMT',
    'vary',
    'accept-encoding',
    'date',
    'Sun, 06 Nov 1994 08:49:37 GMT',
  ],
].flat();
const prepared = headText(200, stored);
const body = Buffer.alloc(1024, 'x');
const date = new DateText();

measure('date within one second', () => date.at(784_111_777_000).length);
measure('head of 6 fields to text', () => {
  const head = headText(200, stored);
  return head.kind === 'text' ? head.text.length : 0;
});
measure('prepared head, Age and body of 1 KiB to octets', (i) => {
  const text = `${prepared.kind === 'text' ? prepared.text : ''}age: ${i & 1023}\r\ncontent-length: 1024\r\n\r\n`;
  const octets = Buffer.allocUnsafe(text.length + body.length);
  octets.set(body, octets.write(text, 'latin1'));
  return octets.length;
});
