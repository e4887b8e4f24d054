/**
 * Series as columns: gaps, extremes per pixel, live rows. Pure functions over typed arrays.
 *
 * @typedef {import('./types').Series} Series
 * @typedef {import('./types').SeriesChannel} SeriesChannel
 * @typedef {import('./types').Columns} Columns
 * @typedef {import('./types').ChannelColumns} ChannelColumns
 * @typedef {import('./types').VerdictRow} VerdictRow
 */

/** @param {(number | null)[]} list */
const floats = (list) => Float64Array.from(list, (v) => (v === null || v === undefined ? NaN : v));

/** @param {Series} series @returns {Columns} */
export function columns(series) {
  return {
    from: Date.parse(series.start),
    to: Date.parse(series.end),
    bucket: series.bucket_seconds === null ? null : series.bucket_seconds * 1000,
    gap: series.gap_seconds * 1000,
    time: Float64Array.from(series.time),
    score: floats(series.score),
    rate: floats(series.rate),
    status: Uint8Array.from(series.status),
    channels: Object.fromEntries(Object.entries(series.channels).map(([name, c]) => [name, channelColumns(c)])),
    incidents: series.incidents,
  };
}

/** @param {SeriesChannel} c @returns {ChannelColumns} */
function channelColumns(c) {
  return {
    unit: c.unit ?? '',
    resolution: c.resolution,
    low: floats(c.low),
    high: floats(c.high),
    mean: floats(c.mean),
    expected: floats(c.expected),
    lower: floats(c.lower),
    upper: floats(c.upper),
    contribution: floats(c.contribution),
    flags: Uint16Array.from(c.flags, (f) => f ?? 0),
  };
}

/** What lies between two moments. @param {Columns} data @param {number} start @param {number} end @returns {Columns} */
export function columnsIn(data, start, end) {
  const from = firstAt(data.time, start);
  const to = firstAt(data.time, end + 1);
  /** @param {any} list */
  const pick = (list) => (ArrayBuffer.isView(list) ? /** @type {any} */ (list).slice(from, to) : list);
  const channels = Object.fromEntries(Object.entries(data.channels).map(([name, c]) => [name, Object.fromEntries(
    Object.entries(c).map(([k, v]) => [k, pick(v)]))]));
  return { ...data, time: pick(data.time), score: pick(data.score), rate: pick(data.rate), status: pick(data.status), channels: /** @type {any} */ (channels) };
}

/**
 * First index whose time is not before `at`.
 * @param {ArrayLike<number>} time ascending
 * @param {number} at
 */
export function firstAt(time, at) {
  let low = 0;
  let high = time.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (time[middle] < at) low = middle + 1;
    else high = middle;
  }
  return low;
}

/**
 * The step nearest to a moment, or -1 where none is within the gap.
 * @param {ArrayLike<number>} time
 * @param {number} at
 * @param {number} gap
 */
export function nearest(time, at, gap) {
  const right = firstAt(time, at);
  const left = right - 1;
  const best =
    right >= time.length ? left : left < 0 ? right : at - time[left] <= time[right] - at ? left : right;
  return best >= 0 && Math.abs(time[best] - at) <= gap ? best : -1;
}

/**
 * Runs [from, to) of steps that a line may join: it breaks where two values are further apart than `gap`.
 * @param {ArrayLike<number>} time
 * @param {ArrayLike<number>} values
 * @param {number} gap milliseconds
 * @param {number} [from]
 * @param {number} [to]
 * @returns {[number, number][]}
 */
export function runs(time, values, gap, from = 0, to = time.length) {
  /** @type {[number, number][]} */
  const out = [];
  let start = -1;
  let last = -1;
  for (let i = from; i < to; i += 1) {
    // One missing value among others is a hole in the data, not a break in the line: time decides.
    if (Number.isNaN(values[i])) continue;
    if (start < 0) start = i;
    else if (time[i] - time[last] > gap) {
      out.push([start, last + 1]);
      start = i;
    }
    last = i;
  }
  if (start >= 0) out.push([start, last + 1]);
  return out;
}

/**
 * Smallest low and largest high among steps [from, to); NaN, NaN where there is none.
 * @param {ArrayLike<number>} low
 * @param {ArrayLike<number>} high
 * @param {number} from
 * @param {number} to
 * @returns {[number, number]}
 */
export function extremes(low, high, from, to) {
  let least = Infinity;
  let most = -Infinity;
  for (let i = from; i < to; i += 1) {
    if (low[i] < least) least = low[i];
    if (high[i] > most) most = high[i];
  }
  return least <= most ? [least, most] : [NaN, NaN];
}

/**
 * The range of values a chart shows: all values, and the band as far as it does not flatten them.
 * @param {ChannelColumns} c
 * @param {number} from
 * @param {number} to
 * @param {number} [reach] how far beyond the values the band may stretch it, in their own extent
 * @returns {[number, number]}
 */
export function valueRange(c, from, to, reach = 1.5) {
  const [low, high] = extremes(c.low, c.high, from, to);
  const [bandLow, bandHigh] = extremes(c.lower, c.upper, from, to);
  if (Number.isNaN(low)) return Number.isNaN(bandLow) ? [0, 1] : [bandLow, bandHigh];
  const smallest = 4 * (c.resolution ?? 0.01);
  const size = reach * Math.max(high - low, smallest);
  const bottom = Number.isNaN(bandLow) ? low : Math.min(low, Math.max(bandLow, low - size));
  const top = Number.isNaN(bandHigh) ? high : Math.max(high, Math.min(bandHigh, high + size));
  const pad = Math.max(0.06 * (top - bottom), smallest / 4);
  return top - bottom >= smallest ? [bottom - pad, top + pad] : [bottom - smallest, top + smallest];
}

/**
 * One column per pixel: extremes of `low`/`high` and the mean of `mean` over the steps that fall in it.
 * A line through 100,000 points is then as cheap as through a thousand, and no peak is lost.
 * @param {ArrayLike<number>} time
 * @param {{low: ArrayLike<number>, high: ArrayLike<number>, mean: ArrayLike<number>}} c
 * @param {[number, number]} run
 * @param {(time: number) => number} x
 * @returns {{x: number, low: number, high: number, mean: number}[]}
 */
export function pixelColumns(time, c, run, x) {
  /** @type {{x: number, low: number, high: number, mean: number}[]} */
  const out = [];
  let pixel = NaN;
  let low = Infinity;
  let high = -Infinity;
  let sum = 0;
  let n = 0;
  let at = 0;
  const flush = () => {
    if (n) out.push({ x: n === 1 ? at : pixel + 0.5, low, high, mean: sum / n });
  };
  for (let i = run[0]; i < run[1]; i += 1) {
    if (Number.isNaN(c.mean[i])) continue;
    const here = x(time[i]);
    const column = Math.floor(here);
    if (column !== pixel) {
      flush();
      pixel = column;
      low = Infinity;
      high = -Infinity;
      sum = 0;
      n = 0;
    }
    at = here;
    if (c.low[i] < low) low = c.low[i];
    if (c.high[i] > high) high = c.high[i];
    sum += c.mean[i];
    n += 1;
  }
  flush();
  return out;
}

/** @param {number | null | undefined} v */
const orNaN = (v) => (v === null || v === undefined ? NaN : v);

/**
 * Live rows joined to the end: merged into the last step of a bucketed series, appended else. Rows that
 * are not newer than the last are dropped (the next fetch brings them in order), and so is everything
 * before `keepFrom`: a page left open for a day holds no more than its view.
 * @param {Columns} data
 * @param {VerdictRow[]} rows
 * @param {number} keepFrom
 * @returns {Columns}
 */
export function withRows(data, rows, keepFrom) {
  const last = data.time.length ? data.time[data.time.length - 1] : -Infinity;
  const step = data.bucket;
  const fresh = rows.filter((r) => r.time > last).map((r) => (step ? { ...r, time: Math.floor(r.time / step) * step } : r));
  if (!fresh.length) return data;
  const merged = mergeSteps(fresh);
  const into = step && merged[0].time === last ? merged.shift() : undefined;
  const drop = firstAt(data.time, keepFrom);
  /** @param {ArrayLike<number>} old @param {(row: Step) => number} pick @param {(a: number, b: number) => number} join */
  const grow = (old, pick, join) => {
    const size = old.length - drop;
    const out = new Float64Array(size + merged.length);
    for (let i = 0; i < size; i += 1) out[i] = old[i + drop];
    if (into && size) out[size - 1] = join(out[size - 1], pick(into));
    merged.forEach((row, i) => { out[size + i] = pick(row); });
    return out;
  };
  /** @type {Record<string, ChannelColumns>} */
  const channels = {};
  for (const [name, c] of Object.entries(data.channels)) {
    channels[name] = {
      ...c,
      low: grow(c.low, (r) => orNaN(r.low[name]), least),
      high: grow(c.high, (r) => orNaN(r.high[name]), most),
      mean: grow(c.mean, (r) => orNaN(r.values[name]), latest),
      expected: grow(c.expected, (r) => orNaN(r.expected[name]), latest),
      lower: grow(c.lower, (r) => orNaN(r.lower[name]), latest),
      upper: grow(c.upper, (r) => orNaN(r.upper[name]), latest),
      contribution: grow(c.contribution, (r) => orNaN(r.contributions[name]), most),
      flags: Uint16Array.from(grow(c.flags, (r) => r.flags[name] ?? 0, (a, b) => a | b)),
    };
  }
  return {
    ...data,
    to: Math.max(data.to, rows[rows.length - 1].time),
    time: grow(data.time, (r) => r.time, (a) => a),
    score: grow(data.score, (r) => orNaN(r.score), most),
    rate: grow(data.rate, (r) => orNaN(r.rate), least),
    status: Uint8Array.from(grow(data.status, (r) => r.status, Math.max)),
    channels,
  };
}

/** @param {number} a @param {number} b */
const least = (a, b) => (Number.isNaN(a) ? b : Number.isNaN(b) ? a : Math.min(a, b));
/** @param {number} a @param {number} b */
const most = (a, b) => (Number.isNaN(a) ? b : Number.isNaN(b) ? a : Math.max(a, b));
/** @param {number} a @param {number} b */
const latest = (a, b) => (Number.isNaN(b) ? a : b);

/** @typedef {VerdictRow & {low: Record<string, number | null>, high: Record<string, number | null>}} Step */

/** Rows of one time become one step. @param {VerdictRow[]} rows @returns {Step[]} */
function mergeSteps(rows) {
  /** @type {Step[]} */
  const out = [];
  for (const row of rows) {
    const before = out[out.length - 1];
    if (!before || before.time < row.time) out.push({ ...row, low: { ...row.values }, high: { ...row.values } });
    else if (before.time === row.time) joinStep(before, row);
  }
  return out;
}

/** @param {Step} step @param {VerdictRow} row */
function joinStep(step, row) {
  for (const [name, value] of Object.entries(row.values)) {
    step.low[name] = least(orNaN(step.low[name]), orNaN(value));
    step.high[name] = most(orNaN(step.high[name]), orNaN(value));
    step.flags[name] = (step.flags[name] ?? 0) | (row.flags[name] ?? 0);
  }
  step.values = { ...step.values, ...row.values };
  step.expected = { ...step.expected, ...row.expected };
  step.lower = { ...step.lower, ...row.lower };
  step.upper = { ...step.upper, ...row.upper };
  step.contributions = { ...step.contributions, ...row.contributions };
  step.score = most(orNaN(step.score), orNaN(row.score));
  step.rate = least(orNaN(step.rate), orNaN(row.rate));
  step.status = Math.max(step.status, row.status);
}

/**
 * How unusual a step is, 0 (ordinary) … 1 (at the alarm budget or beyond), from its return rate: on a
 * log scale, because a return rate ten times smaller is as much rarer at every level.
 * @param {number} rate normal incidents a month at least as extreme
 * @param {number} budget
 */
export function heat(rate, budget) {
  if (Number.isNaN(rate)) return 0;
  const decades = Math.log10(Math.max(rate, 1e-6) / budget);
  return Math.min(1, Math.max(0, 1 - decades / 2.5));
}

/**
 * The same hours, earlier: a series moved forward in time, to be laid under another.
 * @param {Columns} data
 * @param {number} by milliseconds
 * @returns {Columns}
 */
export const shifted = (data, by) => ({ ...data, from: data.from + by, to: data.to + by, time: data.time.map((t) => t + by) });
