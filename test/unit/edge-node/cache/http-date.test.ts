// HTTP-date, RFC 9110 section 5.6.7.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { formatHttpDate, parseHttpDate } from '../../../../edge-node/decide/cache/http-date.ts';
import { seededRandom } from '../../../../infra/runtime/random.ts';
import { below, DATE, NOW, pick } from './support.ts';

describe('5.6.7: the three forms', () => {
  test('IMF-fixdate', () => assert.equal(parseHttpDate('Sun, 06 Nov 1994 08:49:37 GMT', NOW), NOW));
  test('the obsolete form of RFC 850', () => {
    assert.equal(parseHttpDate('Sunday, 06-Nov-94 08:49:37 GMT', NOW), NOW);
  });
  test('the form of asctime, with a one-digit and a two-digit day', () => {
    assert.equal(parseHttpDate('Sun Nov  6 08:49:37 1994', NOW), NOW);
    assert.equal(parseHttpDate('Wed Nov 16 08:49:37 1994', NOW), NOW + 10 * 86_400_000);
  });
  test('what is written is the first form', () => {
    assert.equal(formatHttpDate(NOW), DATE);
    assert.equal(formatHttpDate(NOW + 999), DATE);
  });
  test('seeded: it is what the engine itself would write, for any second of any year', () => {
    const random = seededRandom(11);
    const [first, last] = [Date.parse('0000-01-01T00:00:00Z'), Date.parse('9999-12-31T23:59:59.999Z')];
    for (let i = 0; i < 20_000; i += 1) {
      const ms = i === 0 ? first : i === 1 ? last : first + Math.floor(random.next() * (last - first));
      // Days at a distance of a power of two, and near each other, may have to do with each other.
      for (const other of [ms, Math.max(first, ms - 1000), (i % 5000) * 86_400_000, ms]) {
        assert.equal(formatHttpDate(other), new Date(other).toUTCString());
      }
    }
  });
});

describe('5.6.7: the century of a two-digit year', () => {
  const in2026 = Date.UTC(2026, 5, 1);
  const year = (text: string, now: number) => {
    const time = parseHttpDate(text, now);
    return time === undefined ? undefined : new Date(time).getUTCFullYear();
  };
  test('up to 50 years ahead it is a future year', () => {
    assert.equal(year('Monday, 01-Jan-76 00:00:00 GMT', in2026), 2076);
    assert.equal(year('Monday, 01-Jan-27 00:00:00 GMT', in2026), 2027);
  });
  test('beyond that it is the most recent past year', () => {
    assert.equal(year('Monday, 01-Jan-77 00:00:00 GMT', in2026), 1977);
    assert.equal(year('Monday, 01-Jan-99 00:00:00 GMT', in2026), 1999);
  });
  test('around the turn of a century', () => {
    assert.equal(year('Monday, 01-Jan-02 00:00:00 GMT', Date.UTC(1999, 11, 31)), 2002);
    assert.equal(year('Monday, 01-Jan-99 00:00:00 GMT', Date.UTC(2000, 0, 1)), 1999);
  });
  test('a leap day belongs to a year that has one', () => {
    assert.equal(year('Tuesday, 29-Feb-00 00:00:00 GMT', in2026), 2000);
  });
});

describe('RFC 9111 4.2: a cache matches dates in any case of letters', () => {
  for (const value of [
    'Sun, 06 Nov 1994 08:49:37 gmt',
    'Sun, 06 NOV 1994 08:49:37 gMT',
    'sun, 06 Nov 1994 08:49:37 GMT',
    'SUNDAY, 06-nov-94 08:49:37 GMT',
    'sun nov  6 08:49:37 1994',
  ]) {
    test(JSON.stringify(value), () => assert.equal(parseHttpDate(value, NOW), NOW));
  }
});

describe('what is not a date', () => {
  const bad = [
    '',
    '0',
    '-1',
    'now',
    'Sun, 06 Nov 1994 08:49:37',
    'Sun, 06 Nov 1994 08:49:37 UTC',
    'Sun, 6 Nov 1994 08:49:37 GMT',
    'Sun, 06-Nov-1994 08:49:37 GMT',
    'Sun, 06 Nov 94 08:49:37 GMT',
    'Sun, 06 Nov 1994 8:49:37 GMT',
    'Sun, 06 Nov 1994 24:00:00 GMT',
    'Sun, 06 Nov 1994 08:60:00 GMT',
    'Sun, 06 Nov 1994 08:49:61 GMT',
    'Sun, 06 Nov 1994 08.49.37 GMT',
    'Sun,  06 Nov 1994 08:49:37 GMT',
    'Sun, 06 Nov 1994 08:49:37 GMT ',
    'Sun, 00 Nov 1994 08:49:37 GMT',
    'Thu, 31 Nov 1994 08:49:37 GMT',
    'Tue, 29 Feb 1994 08:49:37 GMT',
    'Tue, 29 Feb 1900 08:49:37 GMT',
    'Sun, +6 Nov 1994 08:49:37 GMT',
    'Sunday, 06-Nov-94 08:49:37',
    'Sunday, 06-Nov-1994 08:49:37 GMT',
    'Sun, 06-Nov-94 08:49:37 GMT',
    'Sunday, 31-Feb-94 08:49:37 GMT',
    'Sun Nov 06 08:49:37 94',
    'Sun Nov  6 08:49:37 1994 GMT',
    'Sun Foo  6 08:49:37 1994',
  ];
  for (const value of bad) {
    test(JSON.stringify(value), () => assert.equal(parseHttpDate(value, NOW), undefined));
  }
  test('no field at all', () => assert.equal(parseHttpDate(undefined, NOW), undefined));
  test('leap days and leap seconds exist', () => {
    assert.equal(parseHttpDate('Tue, 29 Feb 2000 00:00:00 GMT', NOW), Date.UTC(2000, 1, 29));
    assert.equal(parseHttpDate('Sat, 31 Dec 2016 23:59:60 GMT', NOW), Date.UTC(2017, 0, 1));
  });
  test('years before 100 are what they say', () => {
    assert.equal(parseHttpDate('Sat, 01 Jan 0099 00:00:00 GMT', NOW), Date.parse('0099-01-01T00:00:00Z'));
  });
});

test('seeded fuzz: every second that is written is read back, in all three forms', () => {
  const random = seededRandom(850);
  for (let round = 0; round < 5000; round += 1) {
    const time = Math.floor(random.next() * 4_102_444_800) * 1000;
    const imf = formatHttpDate(time);
    assert.equal(parseHttpDate(imf, NOW), time, imf);
    const [, day = '', month = '', year = '', clock = ''] = /, (..) (...) (....) (.{8})/.exec(imf) ?? [];
    assert.equal(parseHttpDate(`${imf.slice(0, 3)} ${month} ${day.replace(/^0/, ' ')} ${clock} ${year}`, NOW), time);
    // Seen from within 50 years of the date, two digits are enough.
    const rfc850 = `Sunday, ${day}-${month}-${year.slice(2)} ${clock} GMT`;
    assert.equal(parseHttpDate(rfc850, time + (random.next() - 0.4) * 49 * 365 * 86_400_000), time, rfc850);
  }
});

// The grammar, and the platform's calendar: what the parser must agree with.
const DAY = '(?:Sun|Mon|Tue|Wed|Thu|Fri|Sat)';
const LONG_DAY = '(?:Sun|Mon|Tues|Wednes|Thurs|Fri|Satur)day';
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
const MONTH = `(?<month>${MONTHS.join('|')})`;
const CLOCK = '(?<hour>[01]\\d|2[0-3]):(?<minute>[0-5]\\d):(?<second>[0-5]\\d|60)';
const FORMS = [
  new RegExp(`^${DAY}, (?<day>\\d\\d) ${MONTH} (?<year>\\d{4}) ${CLOCK} GMT$`, 'i'),
  new RegExp(`^${LONG_DAY}, (?<day>\\d\\d)-${MONTH}-(?<year>\\d\\d) ${CLOCK} GMT$`, 'i'),
  new RegExp(`^${DAY} ${MONTH} (?<day>\\d\\d| \\d) ${CLOCK} (?<year>\\d{4})$`, 'i'),
];

/** As seen from NOW: two digits are a year up to NOW in 2044, else one of the 20th century. */
function plainly(value: string): number | undefined {
  const groups = FORMS.map((form) => form.exec(value)?.groups).find((found) => found !== undefined);
  if (groups === undefined) return undefined;
  const part = (name: string) => Number(groups[name]);
  const centuries = groups.year?.length === 2 ? [2000, 1900] : [0];
  for (const century of centuries) {
    const date = new Date(0);
    date.setUTCFullYear(
      century + part('year'),
      MONTHS.findIndex((name) => name.toLowerCase() === groups.month?.toLowerCase()),
      part('day'),
    );
    const exists = date.getUTCDate() === part('day');
    const time = date.setUTCHours(part('hour'), part('minute'), part('second'));
    if (exists && (century === 0 || time <= Date.UTC(2044, 10, 6, 8, 49, 37))) return time;
  }
  return undefined;
}

test('seeded fuzz: with characters changed it reads what grammar and calendar say, and never throws', () => {
  const random = seededRandom(822);
  const forms = [DATE, 'Sunday, 06-Nov-94 08:49:37 GMT', 'Sun Nov  6 08:49:37 1994', 'Sun Nov 29 23:59:59 2000'];
  for (let round = 0; round < 30_000; round += 1) {
    let value = pick(random, forms);
    for (let i = 1 + below(random, 2); i > 0; i -= 1) {
      const at = below(random, value.length);
      const character = random.next() < 0.7 ? pick(random, [...'0123456789 :-,/gmSOTu']) : pick(random, MONTHS);
      value = value.slice(0, at) + character + value.slice(at + below(random, 2) + character.length - 1);
    }
    assert.equal(parseHttpDate(value, NOW), plainly(value), value);
  }
});
