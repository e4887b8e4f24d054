/**
 * Charts on a canvas. Every function draws one layer: band, envelope and line, gaps left open, spans,
 * ticks of flags, axes. Nothing here keeps state.
 *
 * @typedef {import('./types').Columns} Columns
 * @typedef {import('./types').ChannelColumns} ChannelColumns
 * @typedef {import('./view.js').TimeView} TimeView
 * @typedef {import('./detail.js').Detail} Detail
 *
 * @typedef {object} Frame what layers need to place things
 * @property {CanvasRenderingContext2D} ctx
 * @property {number} left
 * @property {number} right
 * @property {number} top
 * @property {number} bottom
 * @property {(time: number) => number} x
 * @property {(value: number) => number} y
 * @property {Palette} ink
 *
 * @typedef {Record<'ink' | 'ink2' | 'ink3' | 'line' | 'grid' | 'surface' | 'accent' | 'data' | 'envelope' | 'band' | 'bandEdge' | 'anomaly' | 'anomalyTint' | 'warning' | 'normal' | 'ghost1' | 'ghost2', string> & {font: string}} Palette
 */
import { flaggedSteps, runsIn, stepsIn } from './detail.js';
import { firstAt, heat, pixelColumns } from './series.js';
import { number } from './format.js';
import { timeTicks, valueTicks } from './ticks.js';

/** @type {Palette | null} */
let cached = null;
const dark = matchMedia('(prefers-color-scheme: dark)');
dark.addEventListener('change', () => { cached = null; });

/** Call `redraw` when the colours change. @param {() => void} redraw */
export function onTheme(redraw) {
  const later = () => requestAnimationFrame(redraw);
  dark.addEventListener('change', later);
  return () => dark.removeEventListener('change', later);
}

/** The style sheet's colours, for canvases. @returns {Palette} */
export function palette() {
  if (cached) return cached;
  const style = getComputedStyle(document.documentElement);
  /** @param {string} name */
  const of = (name) => style.getPropertyValue(name).trim();
  cached = {
    ink: of('--ink'), ink2: of('--ink-2'), ink3: of('--ink-3'), line: of('--line'), grid: of('--grid'), surface: of('--surface'),
    accent: of('--accent'), data: of('--data'), envelope: of('--envelope'), band: of('--band'), bandEdge: of('--band-edge'),
    anomaly: of('--anomaly'), anomalyTint: of('--anomaly-tint'), warning: of('--warning'), normal: of('--normal'),
    ghost1: of('--ghost-1'), ghost2: of('--ghost-2'),
    font: `11px ${getComputedStyle(document.body).fontFamily}`,
  };
  return cached;
}

/**
 * A canvas fitted to its size in device pixels, cleared.
 * @param {HTMLCanvasElement} canvas
 * @param {number} width
 * @param {number} height
 */
export function prepare(canvas, width, height) {
  const scale = window.devicePixelRatio || 1;
  if (canvas.width !== Math.round(width * scale) || canvas.height !== Math.round(height * scale)) {
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(height * scale);
  }
  const ctx = /** @type {CanvasRenderingContext2D} */ (canvas.getContext('2d'));
  ctx.setTransform(scale, 0, 0, scale, 0, 0);
  ctx.clearRect(0, 0, width, height);
  ctx.font = palette().font;
  return ctx;
}

/** Steps that may show in a view. @param {{time: ArrayLike<number>}} data @param {{start: number, end: number}} view */
export const visible = (data, view) => stepsIn(data.time, view);

/** Round values with hairlines. @param {Frame} f @param {[number, number]} range @param {number | null} resolution @param {number} most */
export function valueAxis(f, range, resolution, most) {
  const { ctx } = f;
  const ticks = valueTicks(range[0], range[1], most);
  const step = ticks.length > 1 ? ticks[1] - ticks[0] : resolution ?? 1;
  ctx.textAlign = 'right';
  ctx.textBaseline = 'middle';
  for (const tick of ticks) {
    const y = Math.round(f.y(tick)) + 0.5;
    if (y < f.top + 4 || y > f.bottom + 1) continue;
    ctx.fillStyle = f.ink.grid;
    ctx.fillRect(f.left, y - 0.5, f.right - f.left, 1);
    ctx.fillStyle = f.ink.ink3;
    const words = number(tick, Math.max(step, 1e-6));
    const short = Math.abs(tick) >= 1000 && ctx.measureText(words).width > f.left - 10;
    ctx.fillText(short ? `${number(tick / 1000, step / 1000)}k` : words, f.left - 8, Math.min(y, f.bottom - 4));
  }
}

/** Hairlines of the shared time axis. @param {Frame} f @param {TimeView} view */
export function timeGrid(f, view) {
  for (const tick of timeTicks(view.start, view.end, (f.right - f.left) / 96)) {
    const x = Math.round(f.x(tick.time));
    if (x < f.left || x > f.right) continue;
    f.ctx.fillStyle = tick.strong ? f.ink.line : f.ink.grid;
    f.ctx.fillRect(x, f.top, 1, f.bottom - f.top);
  }
}

/** Words of the time axis. @param {Frame} f @param {TimeView} view */
export function timeAxis(f, view) {
  const { ctx } = f;
  ctx.textAlign = 'center';
  ctx.textBaseline = 'top';
  let free = f.left - 40;
  for (const tick of timeTicks(view.start, view.end, (f.right - f.left) / 96)) {
    const x = f.x(tick.time);
    const half = ctx.measureText(tick.label).width / 2;
    if (x < f.left || x - half < free || x + half > f.right + 8) continue;
    ctx.fillStyle = tick.strong ? f.ink.ink : f.ink.ink3;
    ctx.fillText(tick.label, x, f.top);
    free = x + half + 12;
  }
}

/** The expected band as a soft tint with hairline edges. @param {Frame} f @param {Detail} data @param {[number, number]} at */
export function band(f, data, at) {
  const { ctx } = f;
  const c = data.channel;
  for (const run of runsIn(data.time, c.lower, data.gap, at)) {
    const lower = pixelColumns(data.time, { low: c.lower, high: c.lower, mean: c.lower }, run, f.x);
    const upper = pixelColumns(data.time, { low: c.upper, high: c.upper, mean: c.upper }, run, f.x);
    if (lower.length < 2 || upper.length < 2) continue;
    ctx.beginPath();
    for (const p of upper) ctx.lineTo(p.x, f.y(p.mean));
    for (let i = lower.length - 1; i >= 0; i -= 1) ctx.lineTo(lower[i].x, f.y(lower[i].mean));
    ctx.closePath();
    ctx.fillStyle = f.ink.band;
    ctx.fill();
  }
}

/** A line through the means of a run, per pixel. @param {Frame} f @param {{x: number, mean: number}[]} points */
function trace(f, points) {
  f.ctx.beginPath();
  for (const p of points) f.ctx.lineTo(p.x, f.y(p.mean));
  f.ctx.stroke();
}

/** @param {Frame} f @param {{time: ArrayLike<number>, gap: number}} data @param {ArrayLike<number>} values @param {[number, number]} at @param {string} colour @param {number[]} dash */
export function thinLine(f, data, values, at, colour, dash) {
  f.ctx.strokeStyle = colour;
  f.ctx.lineWidth = 1;
  f.ctx.setLineDash(dash);
  for (const run of runsIn(data.time, values, data.gap, at)) {
    trace(f, pixelColumns(data.time, { low: values, high: values, mean: values }, run, f.x));
  }
  f.ctx.setLineDash([]);
}

/** Value line with its low … high envelope; a lone step is a dot. @param {Frame} f @param {Detail} data @param {[number, number]} at @param {string} colour */
export function valueLine(f, data, at, colour) {
  const { ctx } = f;
  ctx.lineJoin = 'round';
  for (const run of runsIn(data.time, data.channel.mean, data.gap, at)) {
    const points = pixelColumns(data.time, data.channel, run, f.x);
    const wide = envelopeWidth(points);
    ctx.fillStyle = f.ink.envelope;
    ctx.beginPath();
    for (const p of points) {
      const top = f.y(p.high);
      const size = f.y(p.low) - top;
      if (size > 1.5) ctx.rect(p.x - wide / 2, top, wide, size);
    }
    ctx.fill();
    ctx.strokeStyle = colour;
    ctx.fillStyle = colour;
    ctx.lineWidth = 1.5;
    if (points.length > 1) trace(f, points);
    else if (points.length) { ctx.beginPath(); ctx.arc(points[0].x, f.y(points[0].mean), 1.5, 0, 7); ctx.fill(); }
  }
}

/** Columns of the envelope touch each other. @param {{x: number}[]} points */
const envelopeWidth = (points) =>
  points.length > 1 ? Math.max(1, (points[points.length - 1].x - points[0].x) / (points.length - 1)) : 2;

/** Steps judged anomalous, drawn over the line. @param {Frame} f @param {Detail} data @param {[number, number]} at @param {{start: number, end: number}[]} spans */
export function anomalousSteps(f, data, at, spans) {
  const { ctx } = f;
  const { mean } = data.channel;
  ctx.strokeStyle = f.ink.anomaly;
  ctx.lineWidth = 2;
  for (const span of spans) {
    const inside = /** @type {[number, number]} */ ([Math.max(at[0], firstAt(data.time, span.start)), Math.min(at[1], firstAt(data.time, span.end + 1))]);
    for (const run of inside[0] < inside[1] ? runsIn(data.time, mean, data.gap, inside) : []) {
      const points = pixelColumns(data.time, { low: mean, high: mean, mean }, run, f.x);
      if (points.length === 1) points.push({ ...points[0], x: points[0].x + 1 });
      trace(f, points);
    }
  }
}

/** Spans of incidents: a tint over the whole height, a solid foot below. @param {Frame} f @param {{start: number, end: number, strong: boolean}[]} spans */
export function incidentSpans(f, spans) {
  for (const s of spans) {
    const left = Math.max(f.left, f.x(s.start));
    const right = Math.min(f.right, Math.max(f.x(s.end), f.x(s.start) + 2));
    if (right <= f.left || left >= f.right) continue;
    f.ctx.fillStyle = f.ink.anomalyTint;
    f.ctx.fillRect(left, f.top, right - left, f.bottom - f.top);
    f.ctx.fillStyle = f.ink.anomaly;
    f.ctx.fillRect(left, f.bottom - (s.strong ? 3 : 1), right - left, s.strong ? 3 : 1);
  }
}

/** Quality flags as ticks hanging from the top. @param {Frame} f @param {Columns} data @param {ChannelColumns} c @param {[number, number]} at */
export function flagTicks(f, data, c, at) {
  f.ctx.fillStyle = f.ink.warning;
  let start = -9;
  let last = -9;
  const flush = () => {
    if (last >= f.left && start <= f.right) f.ctx.fillRect(start - 1, f.top, last - start + 2, last - start > 6 ? 3 : 6);
  };
  for (const i of flaggedSteps(c.flags)) {
    if (i < at[0] || i >= at[1]) continue;
    const x = Math.round(f.x(data.time[i]));
    // Steps that follow each other are one low bar; a lone one is a tick.
    if (x - last > 4) { flush(); start = x; }
    last = x;
  }
  flush();
}

/** @type {WeakMap<Float64Array, {budget: number, heats: Float32Array}>} */
const heatCache = new WeakMap();

/** @param {Float64Array} rate @param {number} budget */
function heatsOf(rate, budget) {
  let found = heatCache.get(rate);
  if (found?.budget !== budget) {
    found = { budget, heats: Float32Array.from(rate, (r) => Math.max(0.04, heat(r, budget))) };
    heatCache.set(rate, found);
  }
  return found.heats;
}

/**
 * How unusual every moment was: taller and stronger means rarer.
 * @param {Frame} f
 * @param {Columns} data
 * @param {[number, number]} at
 * @param {number} budget
 */
export function heatStrip(f, data, at, budget) {
  const { ctx } = f;
  const width = Math.ceil(f.right - f.left);
  const worst = new Float32Array(width + 1);
  const reach = data.bucket ?? Math.min(data.gap / 2, 60000);
  const heats = heatsOf(data.rate, budget);
  for (let i = at[0]; i < at[1]; i += 1) {
    const h = heats[i];
    const from = Math.max(0, Math.floor(f.x(data.time[i]) - f.left));
    const to = Math.min(width, Math.ceil(f.x(data.time[i] + reach) - f.left));
    for (let x = from; x < Math.max(to, from + 1) && x <= width; x += 1) if (h > worst[x]) worst[x] = h;
  }
  const size = f.bottom - f.top;
  for (let x = 0; x < width; x += 1) {
    if (!worst[x]) continue;
    const h = worst[x];
    ctx.globalAlpha = 0.25 + 0.75 * h;
    ctx.fillStyle = h >= 0.999 ? f.ink.anomaly : h > 0.72 ? f.ink.warning : f.ink.data;
    const tall = Math.max(2, h * size);
    ctx.fillRect(f.left + x, f.bottom - tall, 1, tall);
  }
  ctx.globalAlpha = 1;
}

/** The shared cursor, with a dot on the line. @param {Frame} f @param {number} time @param {number} value */
export function cursor(f, time, value) {
  const x = Math.round(f.x(time)) + 0.5;
  if (x < f.left || x > f.right) return;
  f.ctx.fillStyle = f.ink.ghost1;
  f.ctx.fillRect(x - 0.5, f.top, 1, f.bottom - f.top);
  if (Number.isNaN(value)) return;
  f.ctx.beginPath();
  f.ctx.arc(x, f.y(value), 3.5, 0, 7);
  f.ctx.fillStyle = f.ink.surface;
  f.ctx.fill();
  f.ctx.lineWidth = 2;
  f.ctx.strokeStyle = f.ink.accent;
  f.ctx.stroke();
}

/** What a drag selects. @param {Frame} f @param {[number, number]} selection */
export function selected(f, selection) {
  const left = Math.max(f.left, f.x(selection[0]));
  const right = Math.min(f.right, f.x(selection[1]));
  f.ctx.globalAlpha = 0.12;
  f.ctx.fillStyle = f.ink.accent;
  f.ctx.fillRect(left, f.top, right - left, f.bottom - f.top);
  f.ctx.globalAlpha = 1;
}
