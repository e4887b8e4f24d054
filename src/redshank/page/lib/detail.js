/**
 * Less detail where a pixel holds many steps: blocks of 4, 16, 64 steps, computed once per series.
 * Panning 100,000 steps then costs what panning a few thousand does; extremes of a block are kept.
 *
 * @typedef {import('./types').Columns} Columns
 * @typedef {import('./types').ChannelColumns} ChannelColumns
 * @typedef {[number, number][]} Runs
 */
import { firstAt, runs } from './series.js';

const LEVELS = [64, 16, 4];
/** Blocks per pixel that are worth drawing. */
const FINE = 2;

/** @type {WeakMap<ArrayLike<number>, Runs>} */
const known = new WeakMap();

/**
 * Runs of a column between two steps, found once for the whole column.
 * @param {ArrayLike<number>} time
 * @param {ArrayLike<number>} values
 * @param {number} gap
 * @param {[number, number]} at
 * @returns {Runs}
 */
export function runsIn(time, values, gap, at) {
  let all = known.get(/** @type {any} */ (values));
  if (!all) {
    all = runs(time, values, gap);
    known.set(/** @type {any} */ (values), all);
  }
  /** @type {Runs} */
  const out = [];
  for (const [from, to] of all) {
    if (to > at[0] && from < at[1]) out.push([Math.max(from, at[0]), Math.min(to, at[1])]);
  }
  return out;
}

/** @typedef {{time: Float64Array, gap: number, channel: ChannelColumns}} Detail */

/** @type {WeakMap<ChannelColumns, Map<number, Detail>>} */
const cache = new WeakMap();

/**
 * One channel at the detail that `width` pixels can show.
 * @param {Columns} data
 * @param {string} name
 * @param {[number, number]} at steps in view
 * @param {number} width
 * @returns {Detail}
 */
export function detail(data, name, at, width) {
  const channel = data.channels[name];
  const level = LEVELS.find((k) => (at[1] - at[0]) / k >= FINE * width);
  if (!level) return { time: data.time, gap: data.gap, channel };
  let levels = cache.get(channel);
  if (!levels) cache.set(channel, (levels = new Map()));
  let found = levels.get(level);
  if (!found) levels.set(level, (found = blocks(data, channel, level)));
  return found;
}

/** Steps of a detail in view, one more on either side. @param {ArrayLike<number>} time @param {{start: number, end: number}} view @returns {[number, number]} */
export const stepsIn = (time, view) => [Math.max(0, firstAt(time, view.start) - 1), Math.min(time.length, firstAt(time, view.end) + 1)];

/** @param {Columns} data @param {ChannelColumns} c @param {number} size @returns {Detail} */
function blocks(data, c, size) {
  /** @type {[number, number][]} */
  const spans = [];
  /** @type {Runs} */
  const joined = [];
  for (const [from, to] of runs(data.time, c.mean, data.gap)) {
    const first = spans.length;
    for (let i = from; i < to; i += size) spans.push([i, Math.min(to, i + size)]);
    joined.push([first, spans.length]);
  }
  const lowest = (/** @type {Float64Array} */ v) => column(spans, v, (a, b) => (b < a ? b : a), Infinity);
  const highest = (/** @type {Float64Array} */ v) => column(spans, v, (a, b) => (b > a ? b : a), -Infinity);
  const channel = {
    ...c, low: lowest(c.low), high: highest(c.high), mean: means(spans, c.mean), expected: means(spans, c.expected),
    lower: means(spans, c.lower), upper: means(spans, c.upper),
  };
  const time = Float64Array.from(spans, ([from, to]) => (data.time[from] + data.time[to - 1]) / 2);
  for (const values of [channel.mean, channel.expected, channel.lower, channel.upper]) {
    known.set(values, joined.flatMap(([from, to]) => runs(time, values, Infinity, from, to)));
  }
  return { time, gap: Infinity, channel };
}

/** @param {[number, number][]} spans @param {Float64Array} values @param {(a: number, b: number) => number} join @param {number} start */
const column = (spans, values, join, start) => Float64Array.from(spans, ([from, to]) => {
  let out = start;
  for (let i = from; i < to; i += 1) out = join(out, values[i]);
  return Number.isFinite(out) ? out : NaN;
});

/** @param {[number, number][]} spans @param {Float64Array} values */
const means = (spans, values) => Float64Array.from(spans, ([from, to]) => {
  let sum = 0;
  let n = 0;
  for (let i = from; i < to; i += 1) {
    if (!Number.isNaN(values[i])) { sum += values[i]; n += 1; }
  }
  return n ? sum / n : NaN;
});

/** @type {WeakMap<Uint16Array, number[]>} */
const flagged = new WeakMap();

/** Steps with a flag worth a tick; "missing" and "after a gap" show as the gap itself. @param {Uint16Array} flags */
export function flaggedSteps(flags) {
  let list = flagged.get(flags);
  if (!list) {
    list = [];
    for (let i = 0; i < flags.length; i += 1) if (flags[i] & ~9) list.push(i);
    flagged.set(flags, list);
  }
  return list;
}
