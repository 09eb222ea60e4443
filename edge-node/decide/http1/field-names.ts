// Field names in lower case, without a new string for the common ones: a trie over their letters that the reader walks while it
// checks that the octets make a token, so that knowing the name costs no second look. Equal names are then the same object.
import { TOKEN_LOWER } from './octets.ts';

// Keys of an object, since V8 keeps one copy of those strings: comparing two of them compares pointers.
const COMMON = Object.keys(
  Object.fromEntries(
    [
      'accept accept-charset accept-encoding accept-language accept-datetime access-control-request-headers',
      'access-control-request-method age alt-used authorization cache-control cdn-loop connection content-encoding',
      'content-language content-length content-location content-range content-type cookie date dnt early-data etag',
      'expect expires forwarded from host http2-settings if-match if-modified-since if-none-match if-range',
      'if-unmodified-since keep-alive last-modified link max-forwards origin pragma prefer priority proxy-authorization',
      'proxy-connection range referer save-data sec-ch-ua sec-ch-ua-arch sec-ch-ua-mobile sec-ch-ua-model',
      'sec-ch-ua-platform sec-ch-ua-platform-version sec-ch-ua-full-version-list sec-fetch-dest sec-fetch-mode',
      'sec-fetch-site sec-fetch-user sec-gpc sec-purpose sec-websocket-extensions sec-websocket-key',
      'sec-websocket-protocol sec-websocket-version te traceparent tracestate trailer transfer-encoding upgrade',
      'upgrade-insecure-requests user-agent vary via x-forwarded-for x-forwarded-host x-forwarded-port',
      'x-forwarded-proto x-real-ip x-request-id x-requested-with',
      // What answers of origins have besides.
      'accept-ranges access-control-allow-credentials access-control-allow-headers access-control-allow-methods',
      'access-control-allow-origin access-control-expose-headers access-control-max-age allow alt-svc cache-status',
      'content-disposition content-security-policy location nel proxy-authenticate referrer-policy report-to retry-after',
      'sec-websocket-accept server server-timing set-cookie strict-transport-security surrogate-key timing-allow-origin',
      'warning www-authenticate x-cache x-content-type-options x-frame-options x-powered-by x-xss-protection',
    ]
      .flatMap((line) => line.split(' '))
      .map((name) => [name, true]),
  ),
);

/** The trie's root. No common name passes through node 0: once there, a name stays there. */
export const NAME_START = 1;

const WIDTH = 128;

interface Trie {
  /** `next[node * 128 + lower-case octet]`: the node that follows. */
  readonly next: Uint16Array;
  /** By node: the name that ends there, or "". */
  readonly names: readonly string[];
}

const trie = buildTrie(COMMON);
/** `NAME_STEP[node * 128 + lower-case octet]` is the node after that octet. */
export const NAME_STEP: Uint16Array = trie.next;

/** The common name that ends at `node`, or "" when none does. */
export function nameAt(node: number): string {
  return trie.names[node] ?? '';
}

/** A name that is not a common one, from the token at `window[start..end)`. */
export function otherName(window: Buffer, start: number, end: number): string {
  return window.toString('latin1', start, end).toLowerCase();
}

function buildTrie(words: readonly string[]): Trie {
  const rows: number[][] = [[], []];
  const names: string[] = ['', ''];
  for (const word of words) {
    let node = NAME_START;
    for (let i = 0; i < word.length; i += 1) {
      const octet = TOKEN_LOWER[word.charCodeAt(i)] ?? 0;
      const row = rows[node] ?? [];
      node = row[octet] ?? rows.length;
      if (node === rows.length) {
        rows.push([]);
        names.push('');
        row[octet] = node;
      }
    }
    names[node] = word;
  }
  const next = new Uint16Array(rows.length * WIDTH);
  for (const [node, row] of rows.entries())
    for (const [octet, to] of row.entries()) next[node * WIDTH + octet] = to ?? 0;
  return { next, names };
}
