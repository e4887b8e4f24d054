/**
 * Numbers, times and rates as people read them. Pure functions: no clock, no page.
 */

export const SECOND = 1000;
export const MINUTE = 60 * SECOND;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;

/** A narrow space that does not break: between a number and its unit. */
const THIN = '\u202f';
export const NOTHING = '–';

/** @type {Map<number, Intl.NumberFormat>} */
const formats = new Map();

/** @param {number} digits */
function fixed(digits) {
  let format = formats.get(digits);
  if (!format) {
    format = new Intl.NumberFormat('en', { minimumFractionDigits: digits, maximumFractionDigits: digits });
    formats.set(digits, format);
  }
  return format;
}

/**
 * Digits after the point that a resolution carries: 0.01 → 2, 0.5 → 1, 10 → 0.
 * @param {number | null | undefined} resolution
 */
export function digitsOf(resolution) {
  if (!resolution || !(resolution > 0)) return 2;
  for (let digits = 0; digits < 6; digits += 1) {
    const scaled = resolution * 10 ** digits;
    const whole = Math.round(scaled);
    if (whole >= 1 && Math.abs(scaled - whole) < 1e-6 * scaled) return digits;
  }
  return 6;
}

/**
 * A value rounded to its channel's resolution.
 * @param {number | null | undefined} value
 * @param {number | null} [resolution]
 */
export function number(value, resolution) {
  if (value === null || value === undefined || !Number.isFinite(value)) return NOTHING;
  const text = fixed(digitsOf(resolution)).format(value);
  return /^-[0.,]*$/.test(text) ? text.slice(1) : text.replace('-', '−');
}

/**
 * @param {number | null | undefined} value
 * @param {string | null | undefined} unit
 * @param {number | null} [resolution]
 */
export function quantity(value, unit, resolution) {
  const text = number(value, resolution);
  return unit && text !== NOTHING ? `${text}${THIN}${unit}` : text;
}

/** @param {number} count */
export const count = (count) => fixed(0).format(count);

/**
 * @param {number} n
 * @param {string} one
 * @param {string} [many]
 */
export const plural = (n, one, many = `${one}s`) => `${count(n)} ${n === 1 ? one : many}`;

/** A share between 0 and 1 in per cent. @param {number | null | undefined} share */
export const percent = (share) =>
  share === null || share === undefined || !Number.isFinite(share) ? NOTHING : `${Math.round(share * 100)}${THIN}%`;

/**
 * Three significant digits at most, for rates and scores that have no unit of their own.
 * @param {number | null | undefined} value
 */
export function brief(value) {
  if (value === null || value === undefined || !Number.isFinite(value)) return NOTHING;
  if (value === 0) return '0';
  if (Math.abs(value) >= 100) return count(Math.round(value));
  return String(Number(value.toPrecision(2))).replace('-', '−');
}

/**
 * A duration in its two largest units: "6 h 10 min".
 * @param {number} ms
 */
export function span(ms) {
  const seconds = Math.round(Math.abs(ms) / SECOND);
  if (seconds < 60) return `${seconds} s`;
  const steps = /** @type {[number, string][]} */ ([[86400, 'd'], [3600, 'h'], [60, 'min'], [1, 's']]);
  const at = steps.findIndex(([size]) => seconds >= size);
  const [size, unit] = steps[at];
  const whole = Math.floor(seconds / size);
  if (unit === 'd' && whole >= 14) return `${Math.round(seconds / 86400)} d`;
  const [nextSize, nextUnit] = steps[at + 1] ?? [1, ''];
  if (unit === 'min' && whole >= 10) return `${Math.round(seconds / 60)} min`;
  const rest = nextUnit ? Math.floor((seconds % size) / nextSize) : 0;
  return rest ? `${whole} ${unit} ${rest} ${nextUnit}` : `${whole} ${unit}`;
}

/** A duration in one unit, rounded down: "6 h". @param {number} ms */
export function about(ms) {
  const size = Math.abs(ms);
  if (size < MINUTE) return `${Math.floor(size / SECOND)} s`;
  if (size < HOUR) return `${Math.floor(size / MINUTE)} min`;
  if (size < 2 * DAY) return `${Math.floor(size / HOUR)} h`;
  if (size < 60 * DAY) return `${Math.floor(size / DAY)} days`;
  if (size < 730 * DAY) return `${Math.floor(size / (30.44 * DAY))} months`;
  return `${Math.floor(size / (365.25 * DAY))} years`;
}

/**
 * "6 h ago", "in 5 min", "just now".
 * @param {number} time
 * @param {number} now
 */
export function ago(time, now) {
  const past = now - time;
  if (Math.abs(past) < 5 * SECOND) return 'just now';
  const text = about(past);
  return past > 0 ? `${text} ago` : `in ${text}`;
}

/** @type {Map<string, Intl.DateTimeFormat>} */
const dates = new Map();

/**
 * @param {Intl.DateTimeFormatOptions} options
 * @param {string} [zone]
 */
function dateFormat(options, zone) {
  const key = JSON.stringify([options, zone]);
  let format = dates.get(key);
  if (!format) {
    format = new Intl.DateTimeFormat('en-GB', { ...options, timeZone: zone, hourCycle: 'h23' });
    dates.set(key, format);
  }
  return format;
}

/** @type {Intl.DateTimeFormatOptions} */
const CLOCK = { hour: '2-digit', minute: '2-digit' };

/** "14:05". @param {number} time @param {string} [zone] */
export const clock = (time, zone) => dateFormat(CLOCK, zone).format(time);

/** "14:05:09". @param {number} time @param {string} [zone] */
export const clockSeconds = (time, zone) => dateFormat({ ...CLOCK, second: '2-digit' }, zone).format(time);

/** "17 Mar". @param {number} time @param {string} [zone] */
export const dayMonth = (time, zone) => dateFormat({ day: 'numeric', month: 'short' }, zone).format(time);

/** "Mar 2025". @param {number} time @param {string} [zone] */
export const monthYear = (time, zone) => dateFormat({ month: 'short', year: 'numeric' }, zone).format(time);

/** "17 Mar 2025". @param {number} time @param {string} [zone] */
export const date = (time, zone) =>
  dateFormat({ day: 'numeric', month: 'short', year: 'numeric' }, zone).format(time);

/**
 * The shortest way to name a moment that leaves no doubt, seen from `now`:
 * "14:05" today, "Tue 14:05" within six days, "17 Mar, 14:05" within the half year, else with the year.
 * @param {number} time
 * @param {number} now
 * @param {string} [zone]
 */
export function moment(time, now, zone) {
  const away = Math.abs(now - time);
  if (date(time, zone) === date(now, zone)) return clock(time, zone);
  if (away < 6 * DAY) return `${dateFormat({ weekday: 'short' }, zone).format(time)} ${clock(time, zone)}`;
  if (away < 180 * DAY) return `${dayMonth(time, zone)}, ${clock(time, zone)}`;
  return `${date(time, zone)}, ${clock(time, zone)}`;
}

/** The whole moment: "Mon, 17 Mar 2025, 12:00:05 CET". @param {number} time @param {string} [zone] */
export const exact = (time, zone) =>
  dateFormat(
    { weekday: 'short', day: 'numeric', month: 'short', year: 'numeric', ...CLOCK, second: '2-digit', timeZoneName: 'short' },
    zone,
  ).format(time);

/**
 * From – to, naming the day only once where both are the same day.
 * @param {number} start
 * @param {number} end
 * @param {string} [zone]
 */
export function range(start, end, zone) {
  const time = end - start < 10 * MINUTE ? clockSeconds : clock;
  if (date(start, zone) === date(end, zone)) {
    return `${date(start, zone)}, ${time(start, zone)} – ${time(end, zone)}`;
  }
  if (end - start > 60 * DAY) return `${date(start, zone)} – ${date(end, zone)}`;
  return `${dayMonth(start, zone)}, ${time(start, zone)} – ${date(end, zone)}, ${time(end, zone)}`;
}

/**
 * A waiting time between chance events in words: "once in 40 days".
 * @param {number | null | undefined} days
 */
export function onceIn(days) {
  if (days === null || days === undefined || !Number.isFinite(days) || days <= 0) return 'how often is not known yet';
  if (days < 1 / 24) return 'several times an hour';
  if (days < 1.5) return days < 0.75 ? `once in ${plural(Math.max(1, Math.round(days * 24)), 'hour')}` : 'once a day';
  if (days < 75) return `once in ${Math.round(days)} days`;
  if (days < 700) return `once in ${Math.round(days / 30.44)} months`;
  if (days < 36525) return `once in ${Math.round(days / 365.25)} years`;
  return 'less than once in 100 years';
}

/**
 * How sure an incident is, in one word group, from its waiting time.
 * @param {number | null | undefined} days
 */
export function certainty(days) {
  if (days === null || days === undefined || !Number.isFinite(days)) return 'Not certain yet';
  if (days >= 365) return 'Almost certainly not chance';
  if (days >= 60) return 'Very unlikely to be chance';
  if (days >= 10) return 'Unlikely to be chance';
  return 'Could be chance';
}

/** How often a sensor reports. @param {number | null | undefined} seconds */
export const rhythm = (seconds) => {
  if (!seconds || !Number.isFinite(seconds)) return NOTHING;
  return seconds < 1 ? `${brief(1 / seconds)} per second` : `every ${span(Math.round(seconds) * SECOND)}`;
};

/**
 * An alarm budget in words: "3 a month", "1 in 2 months", "1 in 10 months".
 * @param {number} perMonth
 */
export function budgetWords(perMonth) {
  if (perMonth >= 15) return `${brief(perMonth)} a month, about one ${perMonth >= 28 ? 'a day' : `in ${Math.round(30 / perMonth)} days`}`;
  if (perMonth > 1.05) return `${brief(perMonth)} a month, about one in ${Math.round(30 / perMonth)} days`;
  if (perMonth > 0.95) return 'one a month';
  const months = 1 / perMonth;
  return `one in ${months < 3 && Math.abs(months - Math.round(months)) > 0.1 ? brief(months) : Math.round(months)} months`;
}

/**
 * Times that the service wrote in UTC ("Wed 18 Nov 2026, 18:42 UTC"), told in the viewer's zone.
 * @param {string} text
 * @param {number} now
 * @param {string} [zone]
 */
export const localTimes = (text, now, zone) =>
  text.replace(/(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun),? )?(\d{1,2} [A-Z][a-z]{2} \d{4}), (\d\d:\d\d) UTC/g, (whole, day, hour) => {
    const time = Date.parse(`${day} ${hour} UTC`);
    return Number.isNaN(time) ? whole : moment(time, now, zone);
  });

/** @type {Record<string, string>} */
const CHANNELS = {
  co2: 'CO₂', no2: 'NO₂', o3: 'O₃', voc: 'VOC', tvoc: 'TVOC', pm1: 'PM1', pm25: 'PM2.5', pm2_5: 'PM2.5', pm4: 'PM4', pm10: 'PM10',
  uv_intensity: 'UV intensity', uv_index: 'UV index', rssi: 'signal strength',
};

/** A channel's name as words: "sound_level" → "sound level". @param {string} name */
export const channelName = (name) => CHANNELS[name] ?? name.replaceAll('_', ' ');

/** Numbers stay on one line with their unit. @param {string} text */
export const tied = (text) => text.replace(/(\d) (?=[%°µ]|(?:min|h|d|s|lx|ppm|hPa|dB|m\/s)\b)/g, '$1\u00a0');

/** First letter upper case, "pH" and such left alone. @param {string} text */
export const sentence = (text) => tied(/^[a-z][a-z0-9 ,]/.test(text) ? text[0].toUpperCase() + text.slice(1) : text);

/** Quality flags: bit, name at the interface, words. */
export const FLAGS = /** @type {[number, string, string][]} */ ([
  [1, 'missing', 'missing'], [2, 'gross_range', 'outside the physical range'], [4, 'flat_line', 'flat line'], [8, 'gap', 'after a gap'],
  [16, 'future', 'from the future'], [32, 'not_finite', 'not a number'], [64, 'rate_of_change', 'sudden step'], [128, 'spike', 'spike just before'],
  [256, 'attenuated', 'moves too little'], [512, 'unit', 'another unit'], [1024, 'sentinel', 'stands for no value'], [2048, 'disagrees', 'unlike its neighbours'], [4096, 'absent', 'missing for long'],
]);

/** A quality flag in words. @param {string} name */
export const flagWord = (name) => FLAGS.find(([, known]) => known === name)?.[2] ?? name;

const ORIGINS = { sensor: 'a fault of the sensor', event: 'a real event', unknown: 'not clear' };

/** Fault or event, in words. @param {keyof typeof ORIGINS} origin */
export const originWords = (origin) => ORIGINS[origin] ?? ORIGINS.unknown;

/** Quality flags as words. @param {number} bits */
export const flagWords = (bits) => FLAGS.filter(([bit]) => bits & bit).map(([, , word]) => word).join(', ');
