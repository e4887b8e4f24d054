/** Sensor: every channel over one time axis, at any zoom, live at its end. */
import { html, useCallback, useEffect, useMemo, useRef, useState } from '../lib/html.js';
import { get, part } from '../lib/api.js';
import { about, budgetWords, count, range as rangeWords, rhythm, span } from '../lib/format.js';
import { asOf, hearOf, nameOf, silence } from '../lib/fleet.js';
import { useMessages, useNow, useResource, useStale, useThrottled, useTitle, useWidth } from '../lib/hooks.js';
import { PRESETS, parseRange, presetRange, rangeQuery, serves, wanted } from '../lib/range.js';
import { address, setQuery } from '../lib/router.js';
import { columns, withRows } from '../lib/series.js';
import { subscribe } from '../lib/socket.js';
import { epoch, useValue } from '../lib/store.js';
import { TimeView } from '../lib/view.js';
import { ChannelPanel, Pointed } from '../ui/channel.js';
import { HeatStrip, TimeAxis } from '../ui/chart.js';
import { Downloads } from '../ui/downloads.js';
import { Flagged } from '../ui/flagged.js';
import { IncidentLine } from '../ui/incident-card.js';
import { Facts, Loading, Problem, State, Time } from '../ui/parts.js';
import { Stack } from '../ui/stack.js';

/**
 * @typedef {import('../lib/types').Sensor} Sensor
 * @typedef {import('../lib/types').Columns} Columns
 * @typedef {import('../lib/types').VerdictRow} VerdictRow
 * @typedef {import('../lib/range.js').Extent} Extent
 * @typedef {import('../lib/range.js').Range} Range
 */

const RECENT = 400;

/**
 * A sensor's series for a view: fetched wider than shown, again when the view leaves it or wants more
 * detail, and continued by live rows.
 * @param {string} id
 * @param {TimeView} view
 * @param {number} width
 * @param {Extent} extent
 */
function useSeries(id, view, width, extent) {
  const [data, setData] = useState(/** @type {Columns | null} */ (null));
  const [error, setError] = useState(/** @type {any} */ (null));
  const [loading, setLoading] = useState(true);
  const held = useRef(/** @type {Columns | null} */ (null));
  const recent = useRef(/** @type {VerdictRow[]} */ ([]));
  const round = useValue(epoch);
  const take = useCallback((/** @type {Columns} */ next) => {
    held.current = next;
    setData(next);
  }, []);
  const load = useRef(/** @type {(force: boolean) => void} */ (() => {}));

  useEffect(() => {
    if (!width) return undefined;
    let abort = new AbortController();
    let timer = 0;
    const fetchNow = async () => {
      abort.abort();
      abort = new AbortController();
      const { signal } = abort;
      const want = wanted(view, width);
      setLoading(true);
      try {
        const query = { start: new Date(want.start).toISOString(), end: new Date(want.end).toISOString(), points: want.points };
        const got = columns(await get(`/sensors/${part(id)}/series`, query, signal));
        const live = got.to >= extent.last;
        take(live ? withRows(got, recent.current ?? [], -Infinity) : got);
        setError(null);
      } catch (problem) {
        if (!signal.aborted) setError(problem);
      }
      if (!signal.aborted) setLoading(false);
    };
    load.current = (force) => {
      if (!force && held.current && serves(held.current, view, width, extent)) return;
      clearTimeout(timer);
      timer = window.setTimeout(fetchNow, held.current ? 120 : 0);
    };
    load.current(true);
    const stop = view.subscribe(() => load.current?.(false));
    return () => { stop(); clearTimeout(timer); abort.abort(); };
  }, [id, view, width, round]);

  const addRows = useCallback((/** @type {VerdictRow[]} */ rows) => {
    recent.current = [...(recent.current ?? []), ...rows].slice(-RECENT);
    const now = held.current;
    if (now && now.to >= extent.last - now.gap) take(withRows(now, rows, view.start - view.span));
    extent.last = Math.max(extent.last, rows[rows.length - 1].time);
  }, [view]);
  return { data, error, loading, addRows, reload: () => load.current?.(true) };
}

/**
 * The view, its address, and the way back through former zooms.
 * @param {Extent} extent
 */
function useRange(extent) {
  const at = useValue(address);
  const search = at.split('?')[1] ?? '';
  const [range, setRange] = useState(() => parseRange(search, extent));
  const view = useMemo(() => new TimeView(range.start, range.end), []);
  const former = useRef(/** @type {Range[]} */ ([]));
  const own = useRef('');
  const preset = useRef(range.preset);

  const publish = useCallback((/** @type {Range} */ next, replace = true) => {
    preset.current = next.preset;
    setRange(next);
    setQuery(rangeQuery(next), { replace });
    own.current = location.search.slice(1);
  }, []);
  useEffect(() => {
    if (search === own.current) return;
    own.current = search;
    const next = parseRange(search, extent);
    preset.current = next.preset;
    setRange(next);
    view.stop();
    view.show(next.start, next.end);
  }, [search]);

  const settle = useThrottled(() => publish({ preset: '', start: view.start, end: view.end }), 250);
  const go = (/** @type {Range} */ next) => {
    former.current = [...(former.current ?? []), { preset: preset.current ?? '', start: view.start, end: view.end }].slice(-50);
    view.stop();
    view.show(next.start, next.end);
    publish({ ...next, start: view.start, end: view.end }, false);
  };
  const back = () => {
    const last = former.current?.pop() ?? presetRange('24h', extent);
    const next = last.preset ? presetRange(last.preset, extent) : last;
    view.stop();
    view.show(next.start, next.end);
    publish(next);
  };
  const moved = () => { preset.current = ''; settle(); };
  return { view, range, preset, go, back, moved };
}

/** @param {{sensor: Sensor}} props */
function Charts({ sensor }) {
  const ref = useRef(/** @type {HTMLElement | null} */ (null));
  const width = useWidth(ref);
  const stale = useStale();
  const extent = useMemo(() => ({ first: Date.parse(sensor.first_seen ?? ''), last: Date.parse(sensor.last_seen ?? '') }), [sensor.sensor_id]);
  const { view, range, preset, go, back, moved } = useRange(extent);
  const { data, error, loading, addRows, reload } = useSeries(sensor.sensor_id, view, width, extent);

  useEffect(() => {
    subscribe({ sensor_id: [sensor.sensor_id], readings: true });
    return () => subscribe({});
  }, [sensor.sensor_id]);
  const again = useThrottled(reload, 1500);
  useMessages((message) => {
    if (message.type === 'incident' && message.incident.sensor_id === sensor.sensor_id) again();
    if (message.type !== 'verdicts' || message.sensor_id !== sensor.sensor_id || !message.rows.length) return;
    // A channel that the sensor did not have before needs its history and its unit.
    if (message.rows.some((r) => Object.keys(r.values).some((name) => !(name in sensor.channels)))) again();
    addRows(message.rows);
    if (preset.current && !view.selection) {
      const next = presetRange(preset.current, extent);
      view.glide(next.start, next.end);
    }
  });

  /** @param {number} factor */
  const zoom = (factor) => {
    const middle = (view.start + view.end) / 2;
    go({ preset: '', start: middle - (view.span / 2) * factor, end: middle + (view.span / 2) * factor });
  };
  /** @param {number} way */
  const pan = (way) => { view.stop(); view.show(view.start + way * view.span * 0.5, view.end + way * view.span * 0.5); moved(); };
  const moves = { zoom: (/** @type {number} */ start, /** @type {number} */ end) => go({ preset: '', start, end }), moved, back };
  const names = Object.keys(sensor.channels);
  const height = width < 600 ? 112 : names.length > 4 ? 112 : 144;
  return html`<section class=${`charts ${stale ? 'stale' : ''}`} ref=${ref} aria-label="Readings">
    <h2 class="sr">Readings</h2>
    <div class="toolbar">
      <span class="segments" role="group" aria-label="Range">${PRESETS.map(([name, word]) => html`
        <button key=${name} aria-pressed=${range.preset === name} onClick=${() => go(presetRange(name, extent))}>${word}</button>`)}</span>
      <span class="segments" role="group" aria-label="Move">
        <button aria-label="Earlier" onClick=${() => pan(-1)}>←</button><button aria-label="Later" onClick=${() => pan(1)}>→</button>
        <button aria-label="Zoom out" onClick=${() => zoom(2)}>−</button><button aria-label="Zoom in" onClick=${() => zoom(0.5)}>+</button>
        <button onClick=${back}>Back</button></span>
      <${Shown} view=${view} />
      <${Downloads} id=${sensor.sensor_id} view=${view} data=${data} />
    </div>
    ${error && !data && html`<${Problem} error=${error} retry=${reload} />`}
    ${error && data && html`<p class="wrong" role="alert">${error.message} What you see is from before. <button class="plain" onClick=${reload}>Try again</button></p>`}
    ${!data && !error && html`<div class="placeholder" style=${{ height: `${names.length * (height + 60)}px` }}><${Loading} label="Loading readings …" /></div>`}
    ${data && html`
      <${Stack} view=${view} moves=${moves} label="Charts. Arrow keys move in time, plus and minus zoom, Escape goes back.">
        <div class="strip"><header><h3>How unusual</h3><${Pointed} view=${view} data=${data} /></header>
          <${HeatStrip} view=${view} data=${data} budget=${sensor.budget ?? 3} label="How unusual each moment was; the incidents below say it in words" /></div>
        ${names.filter((n) => data.channels[n]).map((name) => html`<${ChannelPanel} key=${name} view=${view} data=${data} channel=${name} title=${sensor.channels[name].title} height=${height} />`)}
        <div class="axis"><${TimeAxis} view=${view} /></div>
      </${Stack}>
      <p class="hint quiet"><span aria-live="polite">${loading ? 'Loading more detail …' : data.bucket ? `Each step is ${span(data.bucket)}; the pale column spans its lowest and highest reading.` : 'Every reading is shown.'}</span>
        <span class="wide"> Drag to zoom, double-click to go back, arrow keys move, + and − zoom.</span>
        <span class="legend"><span><i class="swatch value"></i>measured</span><span><i class="swatch band"></i>expected</span><span><i class="swatch span"></i>incident</span><span><i class="swatch flag"></i>flagged</span></span></p>`}
  </section>`;
}

/** The range in words, following the view. @param {{view: TimeView}} props */
function Shown({ view }) {
  const [, turn] = useState(0);
  useEffect(() => view.subscribe(() => turn((n) => n + 1)), [view]);
  return html`<span class="shown">${rangeWords(view.start, view.end)}</span>`;
}

/** @param {{sensor: Sensor, incidents: import('../lib/types').Incident[]}} props */
function Head({ sensor, incidents }) {
  const now = useNow();
  const silent = silence(sensor, now.time);
  const open = incidents.find((i) => i.state === 'open');
  const told = open?.kind === 'silent'; // the incident says it already
  const place = [sensor.site, sensor.exposure].filter(Boolean).join(', ');
  return html`<header class="screen-head">
    <p class="crumb"><a href="/">Sensors</a></p>
    <h1>${nameOf(sensor)}</h1>
    <p class="lead"><${State} shape=${silent ? 'silent' : sensor.status} word=${told ? '' : `${silent ? `silent for ${about(silent)}` : sensor.status}${open ? ':' : ','}`} />
      ${open ? html` <a href=${`/incidents/${open.id}`}>${open.title}</a> since <${Time} at=${open.opened} form="absolute" />`
        : sensor.status === 'learning' ? ' it does not know yet what is normal here; no alarms so far' : ' no incident is open'}</p>
    <${Facts} items=${[
      ['Last reading', html`<${Time} at=${sensor.last_seen} />`],
      ['Rhythm', rhythm(sensor.rhythm_seconds)],
      ['Readings', html`${count(sensor.readings)} <span class="quiet">since <${Time} at=${sensor.first_seen} form="absolute" /></span>`],
      place && ['Place', place],
      ['Alarm budget', html`<a href=${`/budget?sensor=${part(sensor.sensor_id)}`}>${sensor.budget ? budgetWords(sensor.budget) : 'the fleet’s'}</a>`],
    ].filter(Boolean)} />
  </header>`;
}

/** @param {{id: string}} props */
export function SensorScreen({ id }) {
  const sensor = useResource((signal) => /** @type {Promise<Sensor>} */ (get(`/sensors/${part(id)}`, {}, signal)), [id]);
  const incidents = useResource((signal) => /** @type {Promise<import('../lib/types').IncidentList>} */ (get('/incidents', { sensor_id: id, limit: 20 }, signal)), [id]);
  const again = useThrottled(() => { incidents.reload(); sensor.reload(); }, 1500);
  useMessages((message) => {
    if (message.type === 'incident' && message.incident.sensor_id === id) again();
    if (message.type !== 'sensors') return;
    const change = message.sensors.find((s) => s.sensor_id === id);
    if (change && Object.keys(change.values ?? {}).some((name) => !(name in (sensor.data?.channels ?? {})))) again();
    if (change) sensor.update((old) => ({ ...old, status: change.status, last_seen: change.last_seen, rate: change.rate, open_incidents: change.open_incidents }));
  });
  useEffect(() => { if (sensor.data) hearOf(sensor.data); }, [sensor.data]);
  useTitle(sensor.data ? nameOf(sensor.data) : id);
  const now = useNow();
  if (!sensor.data) return sensor.error ? html`<${Problem} error=${sensor.error} retry=${sensor.reload} />` : html`<${Loading} label="Looking for the sensor …" />`;
  const list = (incidents.data?.incidents ?? []).map((i) => asOf(i, now.time));
  return html`
    <${Head} sensor=${sensor.data} incidents=${list} />
    ${sensor.data.last_seen ? html`<${Charts} sensor=${sensor.data} />` : html`<p class="nothing">This sensor has not sent a reading yet.</p>`}
    <section aria-labelledby="incidents-title"><div class="section-head"><h2 id="incidents-title">Incidents of this sensor</h2></div>
      ${list.length ? html`<ul class="lines">${list.map((i) => html`<${IncidentLine} key=${i.id} incident=${i} named=${false} />`)}</ul>`
        : html`<p class="nothing">${incidents.loading ? 'Loading …' : 'None so far.'}</p>`}</section>
    ${sensor.data.last_seen && html`<${Flagged} sensor=${sensor.data} />`}`;
}
