// HTTP-date (RFC 9110 section 5.6.7): the three forms that a recipient must accept, and no other; a cache takes them in any case
// of letters (RFC 9111 section 4.2). What does not name a day of the calendar, or another zone than GMT, is not a date.

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
const DAYS = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'];
const LONG_DAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'];
/** The Gregorian calendar repeats after this long. */
const CYCLE_YEARS = 400;
const CYCLE_MS = 146_097 * 86_400_000;

/**
 * Unix milliseconds, or undefined when `value` is none of the three forms. `now` (Unix milliseconds) settles the century of
 * a two-digit year: a date more than 50 years ahead is the most recent past year with these digits.
 */
export function parseHttpDate(value: string | undefined, now: number): number | undefined {
  if (value === undefined) return undefined;
  const time = parseExact(value, now);
  if (time !== undefined || value.length > MAX_LENGTH) return time;
  const proper = value
    .toLowerCase()
    .replace('gmt', 'GMT')
    .replace(/\b[a-z]/g, (letter) => letter.toUpperCase());
  return proper === value ? undefined : parseExact(proper, now);
}

/** That of the longest form, `Wednesday, 06-Nov-94 08:49:37 GMT`. */
const MAX_LENGTH = 33;

function parseExact(value: string, now: number): number | undefined {
  // Sun, 06 Nov 1994 08:49:37 GMT
  if (value.length === 29 && value.startsWith(', ', 3) && value.endsWith(' GMT')) {
    if (!DAYS.includes(value.slice(0, 3)) || value[7] !== ' ' || value[11] !== ' ' || value[16] !== ' ')
      return undefined;
    return moment(number(value, 12, 4), value.slice(8, 11), number(value, 5, 2), value, 17);
  }
  // Sun Nov  6 08:49:37 1994
  if (value.length === 24 && value[3] === ' ') {
    if (!DAYS.includes(value.slice(0, 3)) || value[7] !== ' ' || value[10] !== ' ' || value[19] !== ' ')
      return undefined;
    const day = value[8] === ' ' ? number(value, 9, 1) : number(value, 8, 2);
    return moment(number(value, 20, 4), value.slice(4, 7), day, value, 11);
  }
  return obsoleteDate(value, now);
}

/** `Sunday, 06-Nov-94 08:49:37 GMT`. */
function obsoleteDate(value: string, now: number): number | undefined {
  const comma = value.indexOf(',');
  if (comma === -1 || !LONG_DAYS.includes(value.slice(0, comma)) || value.length !== comma + 24) return undefined;
  const at = comma + 2;
  if (value[at - 1] !== ' ' || value[at + 2] !== '-' || value[at + 6] !== '-' || value[at + 9] !== ' ')
    return undefined;
  if (!value.endsWith(' GMT')) return undefined;
  const digits = number(value, at + 7, 2);
  const month = value.slice(at + 3, at + 6);
  const day = number(value, at, 2);
  const calendar = new Date(now);
  const thisYear = calendar.getUTCFullYear();
  const latest = calendar.setUTCFullYear(thisYear + 50);
  let year = thisYear - (thisYear % 100) + 100 + digits;
  let time = moment(year, month, day, value, at + 10);
  // The 29th of February may exist in one century and not in another, so only years that are tried are judged.
  while (year > 1970 && (time === undefined || time > latest)) {
    year -= 100;
    time = moment(year, month, day, value, at + 10);
  }
  return time;
}

/** `value` from `at` on is `hh:mm:ss`. NaN where digits were expected makes every comparison fail. */
function moment(year: number, monthName: string, day: number, value: string, at: number): number | undefined {
  const month = MONTHS.indexOf(monthName);
  const hour = number(value, at, 2);
  const minute = number(value, at + 3, 2);
  const second = number(value, at + 6, 2);
  if (month === -1 || value[at + 2] !== ':' || value[at + 5] !== ':') return undefined;
  // 60 is a leap second.
  if (!(year >= 0 && hour <= 23 && minute <= 59 && second <= 60 && day >= 1 && day <= daysIn(year, month))) {
    return undefined;
  }
  // Date.UTC reads the years 0..99 as 1900..1999.
  return Date.UTC(year + CYCLE_YEARS, month, day, hour, minute, second) - CYCLE_MS;
}

function daysIn(year: number, month: number): number {
  if (month === 1) return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28;
  return month === 3 || month === 5 || month === 8 || month === 10 ? 30 : 31;
}

/** The `count` digits at `at`; NaN when they are not digits. */
function number(value: string, at: number, count: number): number {
  let result = 0;
  for (let i = at; i < at + count; i += 1) {
    const digit = value.charCodeAt(i) - 0x30;
    if (!(digit >= 0 && digit <= 9)) return Number.NaN;
    result = result * 10 + digit;
  }
  return result;
}

const DAY_SECONDS = 86_400;
/** Days whose text is kept, each in one place; a power of two. */
const KEPT_DAYS = 1 << 12;
const days = new Float64Array(KEPT_DAYS);
const dayTexts = new Array<string>(KEPT_DAYS).fill(dayText(0));
/** `hh:mm:` and `ss GMT`. */
const MINUTES = Array.from({ length: 1440 }, (_, at) => `${twoDigits(Math.floor(at / 60))}:${twoDigits(at % 60)}:`);
const SECONDS = Array.from({ length: 60 }, (_, at) => `${twoDigits(at)} GMT`);

/**
 * IMF-fixdate, seconds rounded down. `ms`: Unix milliseconds within the years 0 to 9999. Put together from parts that recur:
 * the engine's own way takes longer than to read a whole stored response.
 */
export function formatHttpDate(ms: number): string {
  const second = Math.floor(ms / 1000);
  const day = Math.floor(second / DAY_SECONDS);
  const place = day & (KEPT_DAYS - 1);
  if (days[place] !== day) {
    dayTexts[place] = dayText(day);
    days[place] = day;
  }
  const rest = second - day * DAY_SECONDS;
  const minute = Math.floor(rest / 60);
  return (dayTexts[place] ?? '') + ((MINUTES[minute] ?? '') + (SECONDS[rest - minute * 60] ?? ''));
}

/** `Sun, 06 Nov 1994 `. */
function dayText(day: number): string {
  return new Date(day * DAY_SECONDS * 1000).toUTCString().slice(0, -'00:00:00 GMT'.length);
}

function twoDigits(value: number): string {
  return String(value).padStart(2, '0');
}
