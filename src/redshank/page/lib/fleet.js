/** What the fleet says in words. */
import { MINUTE, SECOND, about, count, plural, span } from './format.js';
import { newest } from './store.js';

/**
 * @typedef {import('./types').Sensor} Sensor
 * @typedef {import('./types').Fleet} Fleet
 * @typedef {import('./types').Incident} Incident
 */

/** @param {Pick<Sensor, 'name' | 'sensor_id'>} sensor */
export const nameOf = (sensor) => sensor.name || sensor.sensor_id;

/**
 * How long a sensor has been silent beyond its rhythm, in ms; 0 while it reports.
 * Five missed reports, and at least a minute, because a single late one means nothing. Live, only with
 * an open incident: a sensor that is off every night is not silent then. Replays have no such incidents.
 * @param {Pick<Sensor, 'last_seen' | 'rhythm_seconds' | 'open_incidents' | 'source'>} sensor
 * @param {number} now
 */
export function silence(sensor, now) {
  if (!sensor.last_seen || (!sensor.open_incidents && !isReplay(sensor.source))) return 0;
  const away = now - Date.parse(sensor.last_seen);
  const patience = Math.max(MINUTE, 5 * (sensor.rhythm_seconds ?? 60) * SECOND);
  return away > patience ? away : 0;
}

/**
 * The incident as of now: a silence that goes on grows between two tellings.
 * @template {Pick<Incident, 'kind' | 'state' | 'opened' | 'title' | 'text' | 'duration_seconds'>} T
 * @param {T} incident
 * @param {number} now
 * @returns {T}
 */
export function asOf(incident, now) {
  const ms = now - Date.parse(incident.opened);
  if (incident.kind !== 'silent' || incident.state !== 'open' || !(ms / SECOND > incident.duration_seconds)) return incident;
  const grown = (/** @type {string} */ words) => words.replace(/\bsilent for \d[^,;.]*/, `silent for ${span(ms)}`);
  return { ...incident, title: grown(incident.title), text: grown(incident.text), duration_seconds: ms / SECOND };
}

/** Sources whose readings carry the times of their recording. @param {string | null} source */
export const isReplay = (source) => /^(replay|file|demo|simulat)/.test(source ?? '');

/**
 * @param {Fleet} fleet
 * @returns {{time: number, replay: boolean}}
 */
export function newestOf(fleet) {
  let best = /** @type {Sensor | null} */ (null);
  for (const sensor of fleet.sensors) {
    if (sensor.last_seen && (!best?.last_seen || sensor.last_seen > best.last_seen)) best = sensor;
  }
  const time = Date.parse(fleet.newest ?? best?.last_seen ?? '');
  return { time, replay: isReplay(best?.source ?? null) };
}

/** Move the page's notion of the newest reading, where this sensor's is newer. @param {Sensor} sensor */
export function hearOf(sensor) {
  const last = Date.parse(sensor.last_seen ?? '');
  if (last > newest.get().time || Number.isNaN(newest.get().time)) newest.set({ time: last, replay: isReplay(sensor.source) });
}

/**
 * The sentence on top: is anything wrong, and where.
 * @param {Fleet} fleet
 */
export function headline(fleet) {
  const sensors = Object.entries(fleet.counts).reduce((sum, [name, n]) => (name === 'with_open_incidents' ? sum : sum + n), 0);
  const open = fleet.counts.with_open_incidents;
  if (!sensors) return 'No readings yet';
  if (open) return sensors === 1 ? 'Your sensor needs a look' : `${count(open)} of ${plural(sensors, 'sensor')} ${open === 1 ? 'needs' : 'need'} a look`;
  if (fleet.counts.learning === sensors) return `${sensors === 1 ? 'One sensor is' : `${plural(sensors, 'sensor')} are`} learning what is normal`;
  return sensors === 1 ? 'Your sensor is as expected' : `All ${plural(sensors, 'sensor')} are as expected`;
}

/**
 * The line below it: what else is worth a word.
 * @param {Fleet} fleet
 * @param {number} now
 */
export function asides(fleet, now) {
  const words = [];
  const { learning, warning, with_open_incidents: open } = fleet.counts;
  const total = learning + warning + fleet.counts.normal + fleet.counts.anomaly;
  if (warning) words.push(`${plural(warning, 'sensor')} close to the alarm level`);
  if (learning && (learning < total || open)) words.push(`${plural(learning, 'sensor')} still learning`);
  const silent = fleet.sensors.map((s) => ({ s, ms: silence(s, now) })).filter(({ ms }) => ms > 0);
  if (silent.length === 1) words.push(`${nameOf(silent[0].s)} silent for ${about(silent[0].ms)}`);
  else if (silent.length) words.push(`${plural(silent.length, 'sensor')} silent`);
  return words;
}

/** The order of need. @param {Sensor} a @param {Sensor} b */
export function byNeed(a, b) {
  const rank = { anomaly: 0, warning: 1, learning: 2, normal: 3 };
  return b.open_incidents - a.open_incidents || rank[a.status] - rank[b.status] || nameOf(a).localeCompare(nameOf(b));
}

/** Incidents that nobody has judged first, the gravest of them first, then the latest. @param {Incident} a @param {Incident} b */
export function byWeight(a, b) {
  const rank = { high: 0, medium: 1, low: 2 };
  return Number(Boolean(a.feedback)) - Number(Boolean(b.feedback)) || rank[a.severity] - rank[b.severity] || b.opened.localeCompare(a.opened);
}
