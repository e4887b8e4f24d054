/** Now: is anything wrong, where, since when; then the fleet. */
import { html, useEffect, useMemo, useRef, useState } from '../lib/html.js';
import { blob, get } from '../lib/api.js';
import { csv, download } from '../lib/csv.js';
import { DAY, count, sentence } from '../lib/format.js';
import { asOf, asides, byNeed, byWeight, headline, nameOf, newestOf } from '../lib/fleet.js';
import { useMessages, useNow, useResource, useStale, useThrottled, useTitle } from '../lib/hooks.js';
import { address, setQuery } from '../lib/router.js';
import { subscribe } from '../lib/socket.js';
import { newest, useValue } from '../lib/store.js';
import { Rows, WindowedRows } from '../ui/fleet-rows.js';
import { IncidentCard, IncidentLine, sensorOf } from '../ui/incident-card.js';
import { Command, Loading, Problem, Time } from '../ui/parts.js';
import { StateGrid } from '../ui/state-grid.js';

/**
 * @typedef {import('../lib/types').Fleet} Fleet
 * @typedef {import('../lib/types').Sensor} Sensor
 * @typedef {import('../lib/types').SensorChange} SensorChange
 * @typedef {import('../lib/types').IncidentList} IncidentList
 */

const FEW = 200;
const CARDS = 4;

/** @param {Sensor} sensor @param {SensorChange | undefined} change @returns {Sensor} */
function changed(sensor, change) {
  if (!change) return sensor;
  const channels = { ...sensor.channels };
  for (const [name, value] of Object.entries(change.values ?? {})) {
    if (channels[name]) channels[name] = { ...channels[name], value };
  }
  return { ...sensor, channels, status: change.status, rate: change.rate, last_seen: change.last_seen, open_incidents: change.open_incidents };
}

/** The fleet as asked for, kept up to date by what comes over the socket. @param {Record<string, string>} query */
function useFleet(query) {
  const fleet = useResource((signal) => /** @type {Promise<Fleet>} */ (get('/sensors', { ...query, limit: FEW }, signal)), [JSON.stringify(query)]);
  const changes = useRef(/** @type {Map<string, SensorChange>} */ (new Map()));
  const [turn, setTurn] = useState(0);
  const again = useThrottled(() => { fleet.reload(); setTurn((n) => n + 1); }, 2000);
  useEffect(() => {
    if (fleet.data?.sensors.length) newest.set(newestOf(fleet.data));
  }, [fleet.data]);
  useMessages((message) => {
    if (message.type === 'sensors') {
      const known = new Map((fleet.data?.sensors ?? []).map((s) => [s.sensor_id, s]));
      let moved = false;
      for (const change of message.sensors) {
        const before = changes.current?.get(change.sensor_id) ?? known.get(change.sensor_id);
        moved ||= !before || before.status !== change.status || before.open_incidents !== change.open_incidents;
        changes.current?.set(change.sensor_id, change);
      }
      fleet.update((old) => ({ ...old, sensors: old.sensors.map((s) => changed(s, changes.current?.get(s.sensor_id))) }));
      if (moved) again();
    } else if (message.type === 'incident') again();
  });
  return { ...fleet, turn, changes: /** @type {Map<string, SensorChange>} */ (changes.current) };
}

function useIncidents() {
  const list = useResource((signal) => /** @type {Promise<IncidentList>} */ (get('/incidents', { limit: 30 }, signal)), []);
  const again = useThrottled(list.reload, 1000);
  useMessages((message) => { if (message.type === 'incident' || message.type === 'budget') again(); });
  return list;
}

/** @param {{fleet: Fleet, incidents: IncidentList | undefined}} props */
function Headline({ fleet, incidents }) {
  const now = useNow();
  const stale = useStale();
  const words = asides(fleet, now.time);
  const [worst] = (incidents?.incidents ?? []).filter((i) => i.state === 'open').map((i) => asOf(i, now.time)).sort(byWeight);
  const last = incidents?.incidents[0];
  return html`<div class=${`headline ${stale ? 'stale' : ''}`}>
    <h1>${headline(fleet)}</h1>
    ${worst
      ? html`<p class="lead"><a href=${`/incidents/${worst.id}`}>${sensorOf(worst)}: ${worst.title}</a> since <${Time} at=${worst.opened} form="absolute" />.</p>`
      : last && html`<p class="lead">Nothing is open. The last incident was <a href=${`/incidents/${last.id}`}>${sensorOf(last)}: ${last.title}</a>, <${Time} at=${last.opened} />.</p>`}
    ${words.length > 0 && html`<p class="quiet">${sentence(words.join('; '))}.</p>`}
  </div>`;
}

/**
 * The latest closed incidents that nobody has judged, as many as leave the first screen calm.
 * @param {IncidentList} list
 * @param {number} now
 */
function toReview(list, now) {
  const open = list.incidents.filter((i) => i.state === 'open').length;
  const fresh = list.incidents.filter((i) => i.state !== 'open' && !i.feedback && now - Date.parse(i.last) < 7 * DAY);
  return fresh.slice(0, Math.max(0, 2 - open)).map((i) => i.id);
}

/** @param {{list: import('../lib/hooks.js').Resource<IncidentList>}} props */
function Incidents({ list }) {
  const [all, setAll] = useState(false);
  const now = useNow();
  // Chosen once per set of incidents, so that a card stays where it is when it gets its mark.
  const waiting = useRef(/** @type {string[] | null} */ (null));
  const known = (list.data?.incidents ?? []).map((i) => i.id + i.state).join();
  useMemo(() => { waiting.current = list.data ? toReview(list.data, now.time) : null; }, [known]);
  if (!list.data) return list.error ? html`<${Problem} error=${list.error} retry=${list.reload} />` : null;
  const review = waiting.current ?? [];
  const open = list.data.incidents.filter((i) => i.state === 'open').map((i) => asOf(i, now.time)).sort(byWeight);
  const past = list.data.incidents.filter((i) => i.state !== 'open');
  const cards = all ? open : open.slice(0, CARDS);
  const unmarked = past.filter((i) => review.includes(i.id));
  const closed = past.filter((i) => !review.includes(i.id)).slice(0, all ? 30 : 5);
  /** @param {import('../lib/types').Incident} incident */
  const changedOne = (incident) => list.update((old) => ({ ...old, incidents: old.incidents.map((i) => (i.id === incident.id ? incident : i)) }));
  return html`
    ${cards.length + unmarked.length > 0 && html`<section aria-labelledby="open-title"><div class="section-head"><h2 id="open-title">To look at</h2>
      <span class="quiet">${[open.length && `${count(open.length)} open`, unmarked.length && `${count(unmarked.length)} closed, but not marked yet`].filter(Boolean).join(', ')}</span></div>
      <div class="cards">${[...cards, ...unmarked].map((i) => html`<${IncidentCard} key=${i.id} incident=${i} changed=${changedOne} />`)}</div>
      ${open.length > cards.length && html`<button class="plain" onClick=${() => setAll(true)}>Show ${count(open.length - cards.length)} more that are open</button>`}</section>`}
    ${closed.length > 0 && html`<section aria-labelledby="past-title">
      <div class="section-head"><h2 id="past-title">Closed lately</h2>
        <button class="plain push" onClick=${async () => download('incidents.csv', await blob('/incidents.csv'))}>Export CSV</button></div>
      <ul class="lines">${closed.map((i) => html`<${IncidentLine} key=${i.id} incident=${i} />`)}</ul>
      ${list.data.total - list.data.open > unmarked.length + closed.length && !all && html`<button class="plain" onClick=${() => setAll(true)}>
        Show more<span class="quiet after">${count(list.data.total - list.data.open)} in all</span></button>`}
    </section>`}`;
}

const ORDERS = /** @type {Record<string, (a: Sensor, b: Sensor) => number>} */ ({
  need: byNeed,
  name: (a, b) => nameOf(a).localeCompare(nameOf(b), undefined, { numeric: true }),
  seen: (a, b) => (a.last_seen ?? '').localeCompare(b.last_seen ?? ''),
});

/** @param {{fleet: ReturnType<typeof useFleet>, params: URLSearchParams, query: Record<string, string>}} props */
function FleetSection({ fleet, params, query }) {
  const data = /** @type {Fleet} */ (fleet.data);
  const stale = useStale();
  const many = data.total > FEW;
  const layout = params.get('layout') ?? (many ? 'grid' : 'rows');
  const order = params.get('sort') ?? 'need';
  const sensors = useMemo(() => [...data.sensors].sort(ORDERS[order] ?? byNeed), [data.sensors, order]);
  const sites = data.sites ?? [...new Set(data.sensors.map((s) => s.site).filter(Boolean))].sort();
  const filtered = Object.keys(query).length > 0;
  return html`<section aria-labelledby="fleet-title" class=${stale ? 'stale' : ''}>
    <div class="section-head"><h2 id="fleet-title">Sensors</h2><span class="quiet" role="status">${filtered ? `${count(data.total)} found` : count(data.total)}</span>
      <button class="plain push" onClick=${() => exportFleet(query)}>Export CSV</button></div>
    <form class="filters" role="search" aria-label="Filter sensors" onSubmit=${(/** @type {Event} */ e) => e.preventDefault()}>
      <label><span class="sr">Text</span><input type="search" placeholder="Find a sensor" value=${params.get('text') ?? ''}
        onInput=${(/** @type {any} */ e) => setQuery({ text: e.target.value })} /></label>
      ${(sites.length > 1 || params.get('site')) && html`<label><span class="sr">Site</span><select value=${params.get('site') ?? ''} onChange=${(/** @type {any} */ e) => setQuery({ site: e.target.value })}>
        <option value="">All sites</option>${sites.map((s) => html`<option key=${s} value=${s}>${s}</option>`)}</select></label>`}
      <label><span class="sr">State</span><select value=${params.get('status') ?? ''} onChange=${(/** @type {any} */ e) => setQuery({ status: e.target.value })}>
        <option value="">All states</option>${['anomaly', 'warning', 'normal', 'learning'].map((s) => html`<option key=${s} value=${s}>${s}${data.counts && !filtered ? ` (${count(data.counts[/** @type {'normal'} */ (s)])})` : ''}</option>`)}</select></label>
      ${many
        ? html`<span class="segments" role="group" aria-label="Layout">${[['grid', 'Grid'], ['rows', 'List']].map(([name, word]) => html`<button type="button" key=${name} aria-pressed=${layout === name} onClick=${() => setQuery({ layout: name })}>${word}</button>`)}</span>`
        : html`<label><span class="sr">Order</span><select value=${order} onChange=${(/** @type {any} */ e) => setQuery({ sort: e.target.value === 'need' ? null : e.target.value })}>
          <option value="need">By need</option><option value="name">By name</option><option value="seen">Longest silent first</option></select></label>`}
    </form>
    ${data.total === 0 ? html`<p class="nothing">No sensor matches. <button class="plain" onClick=${() => setQuery({ text: null, site: null, status: null })}>Clear the filter</button></p>`
      : !many ? html`<${Rows} sensors=${sensors} />`
      : layout === 'grid' ? html`<${StateGrid} query=${query} turn=${fleet.turn} changes=${fleet.changes} />`
      : html`<${WindowedRows} total=${data.total} query=${query} turn=${fleet.turn} patch=${(/** @type {Sensor} */ s) => changed(s, fleet.changes.get(s.sensor_id))} />`}
  </section>`;
}

/** @param {Record<string, string>} query */
async function exportFleet(query) {
  /** @type {unknown[][]} */
  const rows = [['sensor_id', 'name', 'site', 'status', 'rate', 'open_incidents', 'first_seen', 'last_seen', 'rhythm_seconds', 'readings', 'channel', 'value', 'unit']];
  for (let offset = 0, total = 1; offset < total; offset += FEW) {
    const page = /** @type {Fleet} */ (await get('/sensors', { ...query, limit: FEW, offset }));
    total = page.total;
    for (const s of page.sensors) {
      for (const [name, c] of Object.entries(s.channels)) {
        rows.push([s.sensor_id, s.name, s.site, s.status, s.rate, s.open_incidents, s.first_seen, s.last_seen, s.rhythm_seconds, s.readings, name, c.value, c.unit]);
      }
    }
  }
  download('sensors.csv', csv(rows));
}

/** Nothing there yet: the command that sends the first reading. */
const Empty = () => html`<section class="empty">
  <h1>No readings yet</h1>
  <p class="lead">redshank is ready and listening. Send it a first reading:</p>
  <${Command} text=${`curl ${location.origin}/readings -H 'Content-Type: application/json' \\\n  -d '{"sensor_id": "greenhouse-1", "temperature": 21.5, "humidity": 61}'`} />
  <p>or a whole file (CSV, NDJSON or Parquet):</p>
  <${Command} text=${`redshank send ${location.origin} readings.csv`} />
  <p class="quiet">This page shows the sensor the moment its first reading arrives. After its first 256 readings redshank knows what is normal for it.</p>
</section>`;

export function Now() {
  const params = new URLSearchParams(useValue(address).split('?')[1] ?? '');
  const query = useMemo(() => Object.fromEntries(['text', 'site', 'status'].flatMap((k) => (params.get(k) ? [[k, /** @type {string} */ (params.get(k))]] : []))), [params.toString()]);
  const fleet = useFleet(query);
  const incidents = useIncidents();
  const filtered = Object.keys(query).length > 0;
  useEffect(() => subscribe({}), []);
  useTitle(fleet.data ? headline(fleet.data) : '');
  const waiting = !fleet.data || (!incidents.data && !incidents.error);
  if (waiting || !fleet.data) return fleet.error ? html`<${Problem} error=${fleet.error} retry=${fleet.reload} />` : html`<${Loading} label="Looking at your sensors …" />`;
  if (!fleet.data.total && !filtered) return html`<${Empty} />`;
  return html`
    <${Headline} fleet=${fleet.data} incidents=${incidents.data} />
    <${Incidents} list=${incidents} />
    <${FleetSection} fleet=${fleet} params=${params} query=${query} />`;
}
