/** Pointer, touch, wheel and keys on charts that share a time axis. */
import { html, useEffect, useRef } from '../lib/html.js';
import { EDGE, gutter } from './chart.js';

/**
 * @typedef {import('../lib/view.js').TimeView} TimeView
 * @typedef {object} Moves what the person did to the view
 * @property {(start: number, end: number) => void} zoom a new range worth a step back
 * @property {() => void} moved the view was panned or zoomed in passing
 * @property {() => void} back
 */

const DRAG = 6;

/** @param {{view: TimeView, moves: Moves, label: string, children?: any}} props */
export function Stack({ view, moves, label, children }) {
  const ref = useRef(/** @type {HTMLElement | null} */ (null));
  const latest = useRef(moves);
  latest.current = moves;
  useEffect(() => listen(/** @type {HTMLElement} */ (ref.current), view, () => /** @type {Moves} */ (latest.current)), [view]);
  return html`<div class="stack" ref=${ref} tabindex="0" role="group" aria-label=${label}>${children}</div>`;
}

/**
 * @param {HTMLElement} element
 * @param {TimeView} view
 * @param {() => Moves} moves
 */
function listen(element, view, moves) {
  /** @type {Map<number, {x: number}>} */
  const pointers = new Map();
  /** @type {null | {kind: 'select' | 'pan' | 'pinch', x: number, start: number, end: number, size: number}} */
  let drag = null;

  const plot = () => {
    const box = element.getBoundingClientRect();
    const left = gutter(box.width);
    return { left: box.left + left, width: Math.max(1, box.width - left - EDGE) };
  };
  /** @param {number} x */
  const timeAt = (x) => {
    const { left, width } = plot();
    return view.start + Math.min(1, Math.max(0, (x - left) / width)) * view.span;
  };
  /** @param {number} by milliseconds */
  const pan = (by) => {
    view.stop();
    view.show(view.start + by, view.end + by);
    moves().moved();
  };
  /** @param {number} factor @param {number} around */
  const scale = (factor, around) => {
    view.stop();
    view.show(around - (around - view.start) * factor, around + (view.end - around) * factor);
    moves().moved();
  };
  const spread = () => {
    const xs = [...pointers.values()].map((p) => p.x);
    return { middle: (xs[0] + xs[1]) / 2, size: Math.max(20, Math.abs(xs[0] - xs[1])) };
  };
  /** @param {Element | EventTarget | null} target */
  const onChart = (target) => target instanceof HTMLCanvasElement;

  /** @param {PointerEvent} e */
  const down = (e) => {
    if (!onChart(e.target) || e.button !== 0) return;
    pointers.set(e.pointerId, { x: e.clientX });
    /** @type {HTMLElement} */ (e.target).setPointerCapture(e.pointerId);
    view.stop();
    const kind = pointers.size > 1 ? 'pinch' : e.pointerType === 'touch' || e.shiftKey ? 'pan' : 'select';
    const size = kind === 'pinch' ? spread().size : 0;
    drag = { kind, x: kind === 'pinch' ? spread().middle : e.clientX, start: view.start, end: view.end, size };
  };
  /** @param {PointerEvent} e */
  const move = (e) => {
    if (pointers.has(e.pointerId)) pointers.set(e.pointerId, { x: e.clientX });
    if (!drag) {
      view.point(onChart(e.target) ? timeAt(e.clientX) : null);
      return;
    }
    const span = drag.end - drag.start;
    if (drag.kind === 'select') {
      view.point(timeAt(e.clientX));
      if (Math.abs(e.clientX - drag.x) > DRAG || view.selection) {
        const ends = [timeAt(drag.x), timeAt(e.clientX)].sort((a, b) => a - b);
        view.select([ends[0], ends[1]]);
      }
    } else if (drag.kind === 'pan') {
      const by = -((e.clientX - drag.x) / plot().width) * span;
      view.show(drag.start + by, drag.end + by);
    } else if (pointers.size > 1) {
      const { middle, size } = spread();
      const factor = drag.size / size;
      const around = drag.start + ((middle - plot().left) / plot().width) * span;
      view.show(around - (around - drag.start) * factor, around + (drag.end - around) * factor);
    }
  };
  /** @param {PointerEvent} e */
  const up = (e) => {
    pointers.delete(e.pointerId);
    const done = drag;
    if (!done) return;
    drag = null;
    const selection = view.selection;
    view.select(null);
    if (e.type === 'pointercancel' && done.kind === 'select') return;
    if (done.kind === 'select' && selection) moves().zoom(selection[0], selection[1]);
    else if (done.kind !== 'select' && view.start !== done.start) moves().moved();
    else if (e.pointerType === 'touch') view.point(timeAt(e.clientX));
  };
  const leave = () => { if (!drag) view.point(null); };
  /** @param {WheelEvent} e */
  const wheel = (e) => {
    if (!onChart(e.target)) return;
    if (e.ctrlKey) scale(Math.exp(e.deltaY / 300), timeAt(e.clientX));
    else if (Math.abs(e.deltaX) > Math.abs(e.deltaY)) pan((e.deltaX / plot().width) * view.span);
    else return;
    e.preventDefault();
  };
  /** @param {KeyboardEvent} e */
  const key = (e) => {
    if (e.target !== element || e.ctrlKey || e.metaKey || e.altKey) return;
    const far = e.shiftKey ? 0.8 : 0.15;
    if (e.key === 'ArrowLeft') pan(-far * view.span);
    else if (e.key === 'ArrowRight') pan(far * view.span);
    else if (e.key === '+' || e.key === '=') scale(1 / 1.5, view.cursor ?? (view.start + view.end) / 2);
    else if (e.key === '-' || e.key === '_') scale(1.5, view.cursor ?? (view.start + view.end) / 2);
    else if (e.key === 'Escape' || e.key === 'Backspace') moves().back();
    else return;
    e.preventDefault();
  };
  /** @param {MouseEvent} e */
  const twice = (e) => { if (onChart(e.target)) moves().back(); };

  const events = /** @type {[string, any][]} */ ([
    ['pointerdown', down], ['pointermove', move], ['pointerup', up], ['pointercancel', up], ['pointerleave', leave],
    ['wheel', wheel], ['keydown', key], ['dblclick', twice],
  ]);
  for (const [name, handler] of events) element.addEventListener(name, handler, { passive: false });
  return () => { for (const [name, handler] of events) element.removeEventListener(name, handler); };
}
