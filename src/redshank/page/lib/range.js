/** Ranges of time as addresses name them: `range=24h`, or `start=…&end=…`. Pure functions. */
import { DAY, HOUR } from './format.js';

/** @type {[string, string, number][]} name, words, length in ms; "all" is as long as the data are */
export const PRESETS = [
  ['1h', '1 h', HOUR], ['6h', '6 h', 6 * HOUR], ['24h', '24 h', DAY], ['7d', '7 d', 7 * DAY], ['30d', '30 d', 30 * DAY], ['1y', '1 y', 365 * DAY],
  ['all', 'All', Infinity],
];
export const DEFAULT = '24h';

/**
 * @typedef {{preset: string, start: number, end: number}} Range `preset` is '' where both ends are fixed
 * @typedef {{first: number, last: number}} Extent times of the oldest and the newest reading
 */

/**
 * @param {string} preset
 * @param {Extent} extent
 * @returns {Range}
 */
export function presetRange(preset, extent) {
  const [name, , length] = PRESETS.find(([n]) => n === preset) ?? PRESETS[2];
  if (length !== Infinity) return { preset: name, start: extent.last - length, end: extent.last };
  const pad = Math.max(60000, (extent.last - extent.first) * 0.01);
  return { preset: name, start: extent.first - pad, end: extent.last + pad };
}

/**
 * @param {string} search query part of an address
 * @param {Extent} extent
 * @returns {Range}
 */
export function parseRange(search, extent) {
  const query = new URLSearchParams(search);
  const start = Date.parse(query.get('start') ?? '');
  const end = Date.parse(query.get('end') ?? '');
  if (end > start) return { preset: '', start, end };
  return presetRange(query.get('range') ?? DEFAULT, extent);
}

/**
 * @param {Range} range
 * @returns {Record<string, string | null>} the parts of the query that say this range
 */
export function rangeQuery({ preset, start, end }) {
  if (preset) return { range: preset === DEFAULT ? null : preset, start: null, end: null };
  return { range: null, start: new Date(Math.round(start)).toISOString(), end: new Date(Math.round(end)).toISOString() };
}

/**
 * What to fetch for a view: three times its width, so that panning finds data, at a step per pixel.
 * @param {{start: number, end: number}} view
 * @param {number} width pixels
 */
export function wanted(view, width) {
  const span = view.end - view.start;
  const points = Math.min(1000, Math.max(200, Math.round(width)));
  return { start: view.start - span, end: view.end + span, points: points * 3 };
}

/**
 * Whether what was fetched serves a view: it reaches as far (or as far as there are readings), and is
 * neither too coarse to show what the service could, nor much too fine.
 * @param {{from: number, to: number, bucket: number | null}} data
 * @param {{start: number, end: number}} view
 * @param {number} width
 * @param {Extent} extent
 */
export function serves(data, view, width, extent) {
  const span = view.end - view.start;
  const reachesLeft = data.from <= view.start - 0.25 * span || data.from <= extent.first;
  const reachesRight = data.to >= view.end + 0.25 * span || data.to >= extent.last;
  const step = span / Math.min(1000, Math.max(200, width));
  const fineEnough = data.bucket === null || data.bucket <= 2.2 * step;
  const lean = data.to - data.from <= 30 * span;
  return reachesLeft && reachesRight && fineEnough && lean;
}
