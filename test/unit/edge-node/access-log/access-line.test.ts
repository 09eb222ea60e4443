// A line of the access log is the JSON of the exchange, whatever clients put into it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AccessLines, type AccessRecord } from '../../../../edge-node/io/access-line.ts';
import { type Random, seededRandom } from '../../../../infra/runtime/random.ts';
import { below, pick } from '../cache/support.ts';

/** The same, by way of objects. */
function expected(edge: string, record: AccessRecord): object {
  const cut = (text: string | undefined, length = 512) =>
    text === undefined || text.length <= length ? text : `${text.slice(0, length)}…`;
  const line = {
    edge,
    time: new Date(record.time).toISOString(),
    client: cut(record.client),
    method: cut(record.method),
    host: cut(record.host),
    target: cut(record.target, 2_048),
    status: record.status,
    bytes: record.bytes,
    duration_ms: Math.round(record.durationMs * 1_000) / 1_000,
    cache: cut(record.cache),
    outcome: cut(record.outcome),
    site: cut(record.site),
    origin: cut(record.origin),
    failure: cut(record.failure),
    user_agent: cut(record.userAgent),
    referer: cut(record.referer),
    version: record.version,
    sample: record.share,
  };
  return JSON.parse(JSON.stringify(line));
}

test('every line is one line, and what it says is what was', () => {
  const random = seededRandom(8259);
  const lines = new AccessLines('edge "1"\n');
  const seen: string[] = [];
  for (let round = 0; round < 6_000; round += 1) {
    const record = randomRecord(random, seen);
    const line = lines.line(record);
    assert.equal(line.indexOf('\n'), line.length - 1);
    const parsed: unknown = JSON.parse(line);
    assert.deepEqual(parsed, expected('edge "1"\n', record), line);
    // In the documented order, too.
    assert.equal(JSON.stringify(parsed), JSON.stringify(expected('edge "1"\n', record)));
  }
});

function randomRecord(random: Random, seen: string[]): AccessRecord {
  const text = () => (random.next() < 0.5 && seen.length > 0 ? pick(random, seen) : remember(randomText(random), seen));
  const maybe = () => (random.next() < 0.5 ? text() : undefined);
  return {
    // Within one second mostly, also before 1970, and not always whole.
    time:
      pick(random, [1_780_000_000_000, 0, -1, -86_400_001]) + below(random, 1_500) + (random.next() < 0.2 ? 0.75 : 0),
    client: text(),
    method: pick(random, ['GET', 'HEAD', 'POST']),
    host: text(),
    target: random.next() < 0.02 ? `/${'t'.repeat(2_040 + below(random, 20))}` : text(),
    status: 100 + below(random, 500),
    bytes: Math.floor(random.next() * 2 ** 40),
    durationMs: random.next() * pick(random, [0.001, 1, 1e3, 1e9]),
    cache: maybe(),
    outcome: maybe(),
    site: maybe(),
    origin: maybe(),
    failure: maybe(),
    userAgent: maybe(),
    referer: maybe(),
    version: random.next() < 0.5 ? below(random, 1e9) : undefined,
    share: random.next() < 0.5 ? pick(random, [0.5, 1 / 3, 0.01, 1e-9]) : undefined,
  };
}

function remember(text: string, seen: string[]): string {
  if (seen.length < 700) seen.push(text);
  else seen[text.length % 700] = text;
  return text;
}

/** Harmless mostly; else of all that could end a string, a line or a character. */
function randomText(random: Random): string {
  if (random.next() < 0.02) return 'long '.repeat(95 + below(random, 20));
  const harmless = random.next() < 0.5;
  let text = '';
  for (let i = below(random, 12); i > 0; i -= 1) {
    text += harmless
      ? String.fromCharCode(0x20 + below(random, 0x5f))
      : pick(random, [
          '"',
          '\\',
          '\n',
          '\r',
          '\0',
          '\x1f',
          '\x7f',
          '\xff',
          '\u2028',
          '\ud800',
          '😀',
          '/',
          '</script>',
          '\\u0022',
          'a',
        ]);
  }
  return text;
}
