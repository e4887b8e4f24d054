/** A sensor's readings as files: what is shown, what lies in the range, or all there is. */
import { html, useEffect, useRef, useState } from '../lib/html.js';
import { blob, key, part, url } from '../lib/api.js';
import { csv, download, seriesRows } from '../lib/csv.js';
import { columnsIn } from '../lib/series.js';

/**
 * @typedef {import('../lib/types').Columns} Columns
 * @typedef {import('../lib/view.js').TimeView} TimeView
 */

/**
 * A link to a file of the service. Where a key is needed the page fetches it, as links carry none.
 * @param {{id: string, ending: 'csv' | 'parquet', query: Record<string, string>, children?: any}} props
 */
function FileLink({ id, ending, query, children }) {
  const [failed, setFailed] = useState('');
  const address = url(`/sensors/${part(id)}/readings.${ending}`, query);
  /** @param {Event} event */
  const fetchFirst = async (event) => {
    if (!key()) return;
    event.preventDefault();
    try {
      setFailed('');
      download(`${id}.${ending}`, await blob(address, '*/*'));
    } catch (problem) {
      setFailed(problem instanceof Error ? problem.message : String(problem));
    }
  };
  return html`<a href=${address} download=${`${id}.${ending}`} onClick=${fetchFirst}>${children}</a>${failed && html` <span class="wrong" role="alert">${failed}</span>`}`;
}

/** @param {{id: string, view: TimeView, data: Columns | null}} props */
export function Downloads({ id, view, data }) {
  const ref = useRef(/** @type {HTMLDetailsElement | null} */ (null));
  const [open, setOpen] = useState(false);
  const close = () => { if (ref.current) ref.current.open = false; };
  useEffect(() => {
    if (!open) return undefined;
    /** @param {Event} event */
    const outside = (event) => { if (event.target instanceof Node && !ref.current?.contains(event.target)) close(); };
    addEventListener('pointerdown', outside);
    return () => removeEventListener('pointerdown', outside);
  }, [open]);
  /** @param {number} time */
  const iso = (time) => new Date(Math.round(time)).toISOString();
  const span = open ? { start: iso(view.start), end: iso(view.end) } : {};
  return html`<details class="menu push" ref=${ref} onToggle=${() => setOpen(Boolean(ref.current?.open))}
    onKeyDown=${(/** @type {KeyboardEvent} */ e) => { if (e.key === 'Escape') close(); }}>
    <summary class="button">Download</summary>
    <ul>
      <li><button class="plain" disabled=${!data} onClick=${() => data && download(`${id}.csv`, csv(seriesRows(columnsIn(data, view.start, view.end))))}>What is shown, as CSV</button> <span class="quiet">with expected bands</span></li>
      <li>Readings in this range: <${FileLink} id=${id} ending="csv" query=${span}>CSV<//>, <${FileLink} id=${id} ending="parquet" query=${span}>Parquet<//></li>
      <li>All readings: <${FileLink} id=${id} ending="csv" query=${{}}>CSV<//>, <${FileLink} id=${id} ending="parquet" query=${{}}>Parquet<//></li>
    </ul>
  </details>`;
}
