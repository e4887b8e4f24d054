/** Thousands of sensors at a glance: one cell each, grouped by site, worst first. */
import { html, useEffect, useMemo, useRef, useState } from '../lib/html.js';
import { get, part } from '../lib/api.js';
import { count, plural } from '../lib/format.js';
import { useWidth } from '../lib/hooks.js';
import { onTheme, palette, prepare } from '../lib/paint.js';
import { navigate } from '../lib/router.js';
import { Mark } from './parts.js';

/**
 * @typedef {import('../lib/types').Sensor} Sensor
 * @typedef {{id: string, name: string, site: string, status: import('../lib/types').Status}} Cell
 */

const CELL = 14;
const PAGE = 25000;
const STATES = /** @type {const} */ (['learning', 'normal', 'warning', 'anomaly']);

/**
 * Every sensor's state, a page at a time.
 * @param {Record<string, string>} query
 * @param {number} turn
 */
function useCells(query, turn) {
  const [cells, setCells] = useState(/** @type {Cell[]} */ ([]));
  const filter = JSON.stringify(query);
  useEffect(() => {
    const abort = new AbortController();
    const load = async () => {
      /** @type {Cell[]} */
      const all = [];
      for (let total = 1; all.length < total;) {
        const page = /** @type {import('../lib/types').States} */ (await get('/sensors/states', { ...query, limit: PAGE, offset: all.length }, abort.signal));
        total = page.sensor_id.length ? page.total : 0;
        page.sensor_id.forEach((id, i) => all.push({ id, name: page.name[i] || id, site: page.site[i], status: STATES[page.status[i]] }));
        setCells((old) => (all.length >= old.length || all.length >= total ? [...all] : old));
      }
    };
    // The connection banner tells when the service does not answer; cells stay as they are.
    load().catch(() => {});
    return () => abort.abort();
  }, [filter, turn]);
  return cells;
}

/** @param {CanvasRenderingContext2D} ctx @param {number} x @param {number} y @param {Cell['status']} status */
function drawCell(ctx, x, y, status) {
  const ink = palette();
  ctx.beginPath();
  if (status === 'anomaly') {
    ctx.fillStyle = ink.anomaly;
    ctx.moveTo(x + 6, y); ctx.lineTo(x + 12, y + 6); ctx.lineTo(x + 6, y + 12); ctx.lineTo(x, y + 6);
  } else if (status === 'warning') {
    ctx.fillStyle = ink.warning;
    ctx.moveTo(x + 6, y + 1); ctx.lineTo(x + 12, y + 11); ctx.lineTo(x, y + 11);
  } else if (status === 'normal') {
    ctx.fillStyle = ink.normal;
    ctx.arc(x + 6, y + 6, 3, 0, 7);
  } else {
    ctx.strokeStyle = ink.ink3;
    ctx.lineWidth = 1;
    ctx.arc(x + 6, y + 6, 3.5, 0, 7);
    ctx.stroke();
    return;
  }
  ctx.fill();
}

/** @param {{site: string, cells: Cell[], width: number}} props */
function Site({ site, cells, width }) {
  const ref = useRef(/** @type {HTMLCanvasElement | null} */ (null));
  const [at, setAt] = useState(-1);
  const across = Math.max(1, Math.floor(width / CELL));
  const height = Math.ceil(cells.length / across) * CELL;
  useEffect(() => {
    const draw = () => {
      if (!ref.current || !width) return;
      const ctx = prepare(ref.current, width, height);
      cells.forEach((c, i) => drawCell(ctx, (i % across) * CELL + 1, Math.floor(i / across) * CELL + 1, c.status));
      if (at >= 0) {
        ctx.strokeStyle = palette().accent;
        ctx.lineWidth = 2;
        ctx.strokeRect((at % across) * CELL, Math.floor(at / across) * CELL, CELL, CELL);
      }
    };
    draw();
    return onTheme(draw);
  }, [cells, width, at]);
  /** @param {PointerEvent | MouseEvent} e */
  const under = (e) => {
    const i = Math.floor(e.offsetY / CELL) * across + Math.floor(e.offsetX / CELL);
    return i < cells.length && e.offsetX < across * CELL ? i : -1;
  };
  /** @param {KeyboardEvent} e */
  const onKeyDown = (e) => {
    const move = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -across, ArrowDown: across }[e.key];
    if (move) setAt((old) => Math.min(cells.length - 1, Math.max(0, old + (old < 0 ? 1 : move))));
    else if (e.key === 'Enter' && at >= 0) navigate(`/sensors/${part(cells[at].id)}`);
    else return;
    e.preventDefault();
  };
  const bad = cells.filter((c) => c.status === 'anomaly').length;
  const near = cells.filter((c) => c.status === 'warning').length;
  const words = [plural(cells.length, 'sensor'), bad && `${count(bad)} anomalous`, near && `${count(near)} close to the alarm level`].filter(Boolean).join(', ');
  const here = at >= 0 ? cells[at] : null;
  return html`<section class="site">
    <h3>${site || 'No site'} <span class="quiet">${words}</span></h3>
    <canvas ref=${ref} tabindex="0" role="application" aria-label=${`${site || 'No site'}: ${words}. Arrow keys move, Enter opens a sensor.`}
      style=${{ height: `${height}px`, cursor: at >= 0 ? 'pointer' : 'default' }}
      onPointerMove=${(/** @type {PointerEvent} */ e) => setAt(under(e))} onPointerLeave=${() => setAt(-1)} onKeyDown=${onKeyDown} onBlur=${() => setAt(-1)}
      onClick=${(/** @type {MouseEvent} */ e) => { const i = under(e); if (i >= 0) navigate(`/sensors/${part(cells[i].id)}`); }}></canvas>
    <p class="pointed" aria-live="polite">${here && html`<span class="state" data-shape=${here.status}><${Mark} shape=${here.status} />${here.name}, ${here.status}</span>`}</p>
  </section>`;
}

/** @param {{query: Record<string, string>, turn: number, changes: Map<string, import('../lib/types').SensorChange>}} props */
export function StateGrid({ query, turn, changes }) {
  const cells = useCells(query, turn);
  const ref = useRef(/** @type {HTMLElement | null} */ (null));
  const width = useWidth(ref);
  const sites = useMemo(() => {
    /** @type {Map<string, Cell[]>} */
    const groups = new Map();
    for (const cell of cells) {
      const status = changes.get(cell.id)?.status ?? cell.status;
      const group = groups.get(cell.site) ?? [];
      group.push(status === cell.status ? cell : { ...cell, status });
      groups.set(cell.site, group);
    }
    return [...groups].sort(([a], [b]) => a.localeCompare(b, undefined, { numeric: true }));
  }, [cells, changes.size]);
  return html`<div class="grid" ref=${ref}>
    <p class="legend quiet"><span><${Mark} shape="anomaly" />anomaly</span><span><${Mark} shape="warning" />warning</span><span><${Mark} shape="normal" />normal</span><span><${Mark} shape="learning" />learning</span></p>
    ${sites.map(([site, group]) => html`<${Site} key=${site} site=${site} cells=${group} width=${width} />`)}
  </div>`;
}
