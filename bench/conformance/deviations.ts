// What Meridian does otherwise than the tests want, and why. A test that fails and is not here is a fault; so is one that is here and
// passes.

export interface Deviation {
  readonly tests: readonly string[];
  readonly reason: string;
  /** RFC 9111, and with it later versions of the tests, say otherwise. */
  readonly superseded?: true;
}

export const DEVIATIONS: readonly Deviation[] = [
  {
    tests: [
      'age-parse-nonnumeric',
      'age-parse-negative',
      'age-parse-float',
      'age-parse-prefix-twoline',
      'age-parse-dup-0',
      'age-parse-dup-0-twoline',
      'age-parse-dup-old',
      'age-parse-parameter',
      'age-parse-numeric-parameter',
    ],
    superseded: true,
    reason:
      'This version of the tests is older than RFC 9111, whose section 5.1 says: of several values of Age the first counts, and one that ' +
      'is no number is ignored. Here a response with such an Age is to count as stale.',
  },
  {
    tests: [
      'stale-close-must-revalidate',
      'stale-close-proxy-revalidate',
      'stale-close-no-cache',
      'stale-close-s-maxage=2',
    ],
    superseded: true,
    reason:
      'The origin closes the connection and nothing stale may be used, so the edge answers 504 or 502 itself, as section 5.2.2.2 says. ' +
      'The tests look for a field of the origin in that answer, and take one without it for a stored one.',
  },
  {
    tests: ['304-etag-update-response-Content-MD5'],
    superseded: true,
    reason:
      'A 304 replaces all fields of what is stored but Content-Length (section 3.2 of RFC 9111). RFC 7234 let a cache keep Content-MD5.',
  },
  {
    tests: ['304-etag-update-response-ETag'],
    superseded: true,
    reason:
      'A 304 with another strong ETag than any that is stored says nothing of what is stored (section 4.3.4), so the edge asks again ' +
      'without a condition. The origin of this test has no answer to that.',
  },
  {
    tests: ['headers-store-Set-Cookie', '304-etag-update-response-Set-Cookie', 'other-set-cookie'],
    reason:
      'A response that sets a cookie is not stored, unless its Cache-Control leaves the cookie out (`private="set-cookie"`): a cookie is ' +
      'for one client. Section 7.3 allows to store it.',
  },
  {
    tests: ['headers-store-Transfer-Encoding'],
    reason: 'The origin names a transfer coding that does not exist; what follows cannot be read, and is 502.',
  },
  {
    tests: ['invalidate-M-SEARCH', 'invalidate-M-SEARCH-failed', 'invalidate-M-SEARCH-cl'],
    reason:
      'Methods other than GET, HEAD, POST, PUT, PATCH, DELETE and OPTIONS are answered with 501 and not passed on.',
  },
  {
    tests: [
      'partial-store-partial-reuse-partial',
      'partial-store-partial-reuse-partial-byterange',
      'partial-store-partial-reuse-partial-absent',
      'partial-store-partial-reuse-partial-suffix',
      'partial-store-partial-complete',
    ],
    reason:
      'The origin says in Content-Range that it sends six bytes, and sends five, or sends another part than was asked for. The edge takes such ' +
      'an answer for broken and asks for the whole. Parts that are what they say are stored, combined and used (docs/rfc9111.md).',
  },
  {
    tests: ['method-POST'],
    reason: 'Responses to POST are not stored; section 3 does not ask for it.',
  },
  {
    tests: ['vary-normalise-lang-select'],
    reason:
      'Accept-Language is compared by what it says, not letter by letter, but which of two languages the origin would choose is ' +
      'not guessed from Content-Language.',
  },
  {
    tests: ['conditional-lm-fresh-no-lm'],
    reason:
      'Without Last-Modified the Date is compared with If-Modified-Since (section 4.3.2). Here it is later, so that the answer is not 304.',
  },
];
