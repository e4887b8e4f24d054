/** The fleet as rows: all of them when there are few, only the visible ones when there are many. */
import { html, useEffect, useMemo, useRef, useState } from '../lib/html.js';
import { get, part } from '../lib/api.js';
import { MINUTE, channelName, number, rhythm } from '../lib/format.js';
import { nameOf, silence } from '../lib/fleet.js';
import { useNow } from '../lib/hooks.js';
import { epoch, useValue } from '../lib/store.js';
import { Badge, State, Time } from './parts.js';
import { Spark } from './spark.js';

/**
 * @typedef {import('../lib/types').Sensor} Sensor
 * @typedef {import('../lib/types').Sparkline} Sparkline
 */

const BATCH = 100;
const KEPT = 600;

/**
 * Sparklines of the sensors on screen, asked for in batches and again every few minutes.
 * @param {string[]} ids
 */
function useSparks(ids) {
  const cache = useRef(/** @type {Map<string, {at: number, line: Sparkline | null}>} */ (new Map()));
  const [, redraw] = useState(0);
  const round = useValue(epoch);
  const [minute, setMinute] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => setMinute((n) => n + 1), 3 * MINUTE);
    return () => clearInterval(timer);
  }, []);
  const wanted = ids.join('\n');
  useEffect(() => {
    const known = /** @type {Map<string, {at: number, line: Sparkline | null}>} */ (cache.current);
    const old = Date.now() - 3 * MINUTE;
    const missing = ids.filter((id) => (known.get(id)?.at ?? 0) <= old).slice(0, 4 * BATCH);
    if (!missing.length) return undefined;
    const abort = new AbortController();
    const load = async () => {
      for (let i = 0; i < missing.length; i += BATCH) {
        const query = { sensor_id: missing.slice(i, i + BATCH), hours: 24, points: 48 };
        const answer = await get('/sensors/sparklines', query, abort.signal);
        for (const id of query.sensor_id) known.set(id, { at: Date.now(), line: answer.sensors[id] ?? null });
        for (const id of [...known.keys()].slice(0, Math.max(0, known.size - KEPT))) known.delete(id);
        redraw((n) => n + 1);
      }
    };
    // A missing sparkline costs nothing but itself: the row still says everything in words.
    const timer = setTimeout(() => load().catch(() => {}), 80);
    return () => { clearTimeout(timer); abort.abort(); };
  }, [wanted, round, minute]);
  return (/** @type {string} */ id) => cache.current?.get(id)?.line ?? null;
}

/** @param {{sensor: Sensor, spark: Sparkline | null, most: number}} props */
function Channels({ sensor, spark, most }) {
  const names = Object.keys(sensor.channels);
  const rest = names.length - most;
  return html`<ul class="channels">
    ${names.slice(0, rest === 1 ? most + 1 : most).map((name) => {
      const c = sensor.channels[name];
      return html`<li key=${name} title=${c.title ?? name}>
        <span class="channel-name">${channelName(name)}</span>
        <span class="channel-value">${number(c.value, c.resolution)} <span class="unit">${c.unit}</span></span>
        <${Spark} values=${spark?.channels[name]} />
      </li>`;
    })}
    ${rest > 1 && html`<li class="more quiet">+${rest} more</li>`}
  </ul>`;
}

/** @param {{sensor: Sensor, spark: Sparkline | null, fixed?: {top: number, at: number, total: number}}} props */
function Row({ sensor, spark, fixed }) {
  const now = useNow();
  const silent = silence(sensor, now.time);
  const place = fixed ? { style: { transform: `translateY(${fixed.top}px)` }, 'aria-posinset': fixed.at + 1, 'aria-setsize': fixed.total } : {};
  return html`<li class=${`sensor ${fixed ? 'fixed' : ''}`} ...${place}>
    <div class="who"><a href=${`/sensors/${part(sensor.sensor_id)}`}>${nameOf(sensor)}</a>
      <span class="quiet">${[sensor.site, sensor.exposure].filter(Boolean).join(' · ')}</span></div>
    <div class="how"><${State} shape=${silent ? 'silent' : sensor.status} /><${Badge} n=${sensor.open_incidents} /></div>
    <${Channels} sensor=${sensor} spark=${spark} most=${fixed ? 4 : 12} />
    <div class="when">
      <span><${Time} at=${sensor.last_seen} form="ago" /></span>
      <span class="quiet">${rhythm(sensor.rhythm_seconds)}</span>
    </div>
  </li>`;
}

/** All rows. @param {{sensors: Sensor[]}} props */
export function Rows({ sensors }) {
  const spark = useSparks(sensors.map((s) => s.sensor_id));
  return html`<ul class="fleet">${sensors.map((s) => html`<${Row} key=${s.sensor_id} sensor=${s} spark=${spark(s.sensor_id)} />`)}</ul>`;
}

const PAGE = 100;
const PAGES_KEPT = 12;

/**
 * Rows of a fleet too large to load: a page at a time, and only those in the window exist.
 * @param {{total: number, query: Record<string, string>, turn: number, patch: (s: Sensor) => Sensor}} props
 *   `turn` changes when the order may have
 */
export function WindowedRows({ total, query, turn, patch }) {
  const ref = useRef(/** @type {HTMLElement | null} */ (null));
  const pages = useRef(/** @type {Map<number, Sensor[]>} */ (new Map()));
  const [range, setRange] = useState([0, 30]);
  const [, redraw] = useState(0);
  const height = useMemo(() => (matchMedia('(max-width: 719px)').matches ? 132 : 72), []);
  const filter = JSON.stringify(query);

  useEffect(() => {
    const place = () => {
      const top = -(ref.current?.getBoundingClientRect().top ?? 0);
      const from = Math.max(0, Math.floor(top / height) - 8);
      const to = Math.min(total, Math.ceil((top + innerHeight) / height) + 8);
      setRange((old) => (old[0] === from && old[1] === to ? old : [from, Math.max(from, to)]));
    };
    place();
    addEventListener('scroll', place, { passive: true });
    addEventListener('resize', place);
    return () => { removeEventListener('scroll', place); removeEventListener('resize', place); };
  }, [total, height]);

  useEffect(() => pages.current?.clear(), [filter]);
  useEffect(() => {
    const known = /** @type {Map<number, Sensor[]>} */ (pages.current);
    const abort = new AbortController();
    const load = async () => {
      for (let page = Math.floor(range[0] / PAGE); page * PAGE < range[1]; page += 1) {
        const answer = await get('/sensors', { ...query, limit: PAGE, offset: page * PAGE }, abort.signal);
        known.delete(page);
        known.set(page, answer.sensors);
        for (const old of [...known.keys()].slice(0, Math.max(0, known.size - PAGES_KEPT))) known.delete(old);
        redraw((n) => n + 1);
      }
    };
    // The connection banner tells when the service does not answer; rows stay as they are.
    const timer = setTimeout(() => load().catch(() => {}), 60);
    return () => { clearTimeout(timer); abort.abort(); };
  }, [filter, turn, Math.floor(range[0] / PAGE), Math.floor((range[1] - 1) / PAGE)]);

  const shown = [];
  for (let i = range[0]; i < range[1]; i += 1) {
    const sensor = pages.current?.get(Math.floor(i / PAGE))?.[i % PAGE];
    if (sensor) shown.push({ i, sensor: patch(sensor) });
  }
  const spark = useSparks(shown.map(({ sensor }) => sensor.sensor_id));
  return html`<ul class="fleet windowed" ref=${ref} style=${{ height: `${total * height}px` }}>
    ${shown.map(({ i, sensor }) => html`<${Row} key=${sensor.sensor_id} sensor=${sensor} spark=${spark(sensor.sensor_id)} fixed=${{ top: i * height, at: i, total }} />`)}
  </ul>`;
}
