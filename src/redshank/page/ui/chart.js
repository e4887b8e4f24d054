/** Canvases that follow a shared view: one channel's chart, the heat strip, the time axis. */
import { html, useEffect, useRef } from '../lib/html.js';
import * as paint from '../lib/paint.js';
import { detail } from '../lib/detail.js';
import { nearest, valueRange } from '../lib/series.js';
import { calm } from '../lib/view.js';

/**
 * @typedef {import('../lib/types').Columns} Columns
 * @typedef {import('../lib/view.js').TimeView} TimeView
 *
 * @typedef {object} ChartProps
 * @property {TimeView} view
 * @property {Columns} data
 * @property {string} channel
 * @property {string} label what a screen reader says
 * @property {number} height
 * @property {{data: Columns, words: string, kind: 1 | 2}[]} [ghosts] earlier series, moved to this time
 * @property {string} [focus] id of the incident whose span is drawn strongest
 * @property {boolean} [axis] draw the time axis below
 * @property {boolean} [small] fewer marks
 */

/** Room left of the plot for the values. @param {number} width */
export const gutter = (width) => (width < 480 ? 44 : 64);
export const EDGE = 12;
/** In an incident's story the expected band is the point: it may take most of the height. */
const STORY_REACH = 200;

/**
 * A canvas that redraws with its view, its size, the theme and `draw`, at most once a frame.
 * @param {{view: TimeView, height: number, label: string | null, draw: (ctx: CanvasRenderingContext2D, width: number, height: number) => boolean | void}} props
 *   `draw` answers whether it wants another frame
 */
function Canvas({ view, height, label, draw }) {
  const ref = useRef(/** @type {HTMLCanvasElement | null} */ (null));
  const latest = useRef(draw);
  latest.current = draw;
  const redraw = useRef(() => {});
  useEffect(() => {
    const canvas = /** @type {HTMLCanvasElement} */ (ref.current);
    let frame = 0;
    let width = canvas.clientWidth;
    const now = () => {
      frame = 0;
      if (!width) return;
      if (latest.current?.(paint.prepare(canvas, width, height), width, height)) soon();
    };
    const soon = () => { if (!frame) frame = requestAnimationFrame(now); };
    redraw.current = soon;
    const sizes = new ResizeObserver(() => { width = canvas.clientWidth; soon(); });
    sizes.observe(canvas);
    const stops = [view.subscribe(soon), paint.onTheme(soon)];
    soon();
    return () => {
      cancelAnimationFrame(frame);
      sizes.disconnect();
      stops.forEach((stop) => stop());
    };
  }, [view, height]);
  useEffect(() => redraw.current?.());
  const style = { height: `${height}px` };
  return label === null
    ? html`<canvas ref=${ref} class="canvas" style=${style} aria-hidden="true"></canvas>`
    : html`<canvas ref=${ref} class="canvas" style=${style} role="img" aria-label=${label}></canvas>`;
}

/** @param {CanvasRenderingContext2D} ctx @param {number} width @param {number} top @param {number} bottom @param {TimeView} view @param {[number, number]} range @returns {paint.Frame} */
function frame(ctx, width, top, bottom, view, range) {
  const left = gutter(width);
  const right = width - EDGE;
  return {
    ctx, left, right, top, bottom, ink: paint.palette(),
    x: (t) => left + ((t - view.start) / (view.end - view.start)) * (right - left),
    y: (v) => bottom - ((v - range[0]) / (range[1] - range[0])) * (bottom - top),
  };
}

/**
 * Incidents of a channel, and those of the sensor's rhythm, which are of no channel: an open silence
 * lasts until now.
 * @param {Columns} data @param {string} channel @param {string | undefined} focus
 */
function spansOf(data, channel, focus) {
  const newest = data.time.length ? data.time[data.time.length - 1] : data.to;
  return data.incidents
    .filter((i) => !i.channels.length || i.channels.includes(channel))
    .map((i) => {
      const start = Date.parse(i.start);
      const ofValues = i.channels.length > 0;
      const end = i.end ? Date.parse(i.end) : Math.max(ofValues ? newest : Date.now(), start);
      return { start, end, ofValues, strong: !focus || i.id === focus };
    });
}

/** Scales move to their new range over some frames, so that panning does not make lines jump. */
class Easing {
  /** @type {[number, number] | null} */
  range = null;

  /** @param {[number, number]} target @returns {boolean} whether it still moves */
  toward(target) {
    if (!this.range || calm.matches) { this.range = target; return false; }
    const size = target[1] - target[0];
    const far = Math.abs(target[0] - this.range[0]) + Math.abs(target[1] - this.range[1]);
    if (far < size / 200 || far > size * 8) { this.range = target; return false; }
    this.range = [this.range[0] + (target[0] - this.range[0]) * 0.3, this.range[1] + (target[1] - this.range[1]) * 0.3];
    return true;
  }
}

/** One channel: band, line, spans, flags, cursor. @param {ChartProps} props */
export function ChannelChart({ view, data, channel, label, height, ghosts = [], focus, axis = false, small = false }) {
  const easing = useRef(/** @type {Easing | null} */ (null));
  easing.current ??= new Easing();
  const ease = easing.current;
  /** @param {CanvasRenderingContext2D} ctx @param {number} width @param {number} full */
  const draw = (ctx, width, full) => {
    const c = data.channels[channel];
    if (!c) return false;
    const seen = detail(data, channel, paint.visible(data, view), width);
    const at = paint.visible(seen, view);
    const moving = ease.toward(valueRange(seen.channel, at[0], at[1], focus ? STORY_REACH : undefined));
    const range = /** @type {[number, number]} */ (ease.range);
    const f = frame(ctx, width, 4, full - (axis ? 22 : 2), view, range);
    paint.timeGrid(f, view);
    paint.valueAxis(f, range, c.resolution, 4);
    ctx.save();
    ctx.beginPath();
    ctx.rect(f.left, f.top, f.right - f.left, f.bottom - f.top);
    ctx.clip();
    layers(f, seen, at, range);
    ctx.restore();
    if (axis) paint.timeAxis({ ...f, top: f.bottom + 8 }, view);
    return moving;
  };
  /** @param {paint.Frame} f @param {import('../lib/detail.js').Detail} seen @param {[number, number]} at @param {[number, number]} range */
  const layers = (f, seen, at, range) => {
    const c = data.channels[channel];
    const spans = spansOf(data, channel, focus);
    paint.incidentSpans(f, spans);
    paint.band(f, seen, at);
    for (const ghost of ghosts) {
      const g = ghost.data.channels[channel];
      if (g) paint.thinLine(f, ghost.data, g.mean, paint.visible(ghost.data, view), ghost.kind === 1 ? f.ink.ghost1 : f.ink.ghost2, ghost.kind === 1 ? [5, 3] : [1, 3]);
    }
    if (!small) paint.thinLine(f, seen, seen.channel.expected, at, f.ink.bandEdge, []);
    paint.valueLine(f, seen, at, f.ink.data);
    paint.anomalousSteps(f, seen, at, spans.filter((s) => s.ofValues));
    if (!small) paint.flagTicks(f, data, c, paint.visible(data, view));
    if (view.selection) paint.selected(f, view.selection);
    if (view.cursor !== null) {
      const i = nearest(data.time, view.cursor, data.gap);
      paint.cursor(f, i < 0 ? view.cursor : data.time[i], i < 0 || c.mean[i] < range[0] ? NaN : c.mean[i]);
    }
  };
  return html`<${Canvas} view=${view} height=${height} label=${label} draw=${draw} />`;
}

/** How unusual, over time. @param {{view: TimeView, data: Columns, budget: number, label: string}} props */
export function HeatStrip({ view, data, budget, label }) {
  /** @param {CanvasRenderingContext2D} ctx @param {number} width @param {number} height */
  const draw = (ctx, width, height) => {
    const f = frame(ctx, width, 2, height - 1, view, [0, 1]);
    ctx.fillStyle = f.ink.grid;
    ctx.fillRect(f.left, f.bottom, f.right - f.left, 1);
    ctx.save();
    ctx.beginPath();
    ctx.rect(f.left, f.top, f.right - f.left, f.bottom - f.top);
    ctx.clip();
    paint.heatStrip(f, data, paint.visible(data, view), budget);
    if (view.selection) paint.selected(f, view.selection);
    ctx.restore();
    if (view.cursor !== null) paint.cursor(f, view.cursor, NaN);
  };
  return html`<${Canvas} view=${view} height=${28} label=${label} draw=${draw} />`;
}

/** The time axis below all charts. @param {{view: TimeView}} props */
export function TimeAxis({ view }) {
  /** @param {CanvasRenderingContext2D} ctx @param {number} width @param {number} height */
  const draw = (ctx, width, height) => paint.timeAxis(frame(ctx, width, 6, height, view, [0, 1]), view);
  return html`<${Canvas} view=${view} height=${24} label=${null} draw=${draw} />`;
}
