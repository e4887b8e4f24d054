/** Incidents as cards, as lines, and the marks people put on them. */
import { html, useEffect, useMemo, useRef, useState } from '../lib/html.js';
import { get, part, send } from '../lib/api.js';
import { HOUR, MINUTE, channelName, onceIn, sentence, span } from '../lib/format.js';
import { nameOf } from '../lib/fleet.js';
import { useResource } from '../lib/hooks.js';
import { columns } from '../lib/series.js';
import { TimeView } from '../lib/view.js';
import { ChannelChart } from './chart.js';
import { Mark, Severity, Time } from './parts.js';

/**
 * @typedef {import('../lib/types').Incident} Incident
 * @typedef {import('../lib/types').Mark} MarkName
 */

/** The sensor's name, from an incident. @param {{sensor_name: string | null, sensor_id: string}} incident */
export const sensorOf = (incident) => nameOf({ name: incident.sensor_name, sensor_id: incident.sensor_id });

/**
 * The stretch that tells the story: the incident with as much time before it (2 h … 2 days).
 * @param {{opened: string, last: string, closed: string | null}} incident
 * @returns {[number, number]}
 */
export function storySpan(incident) {
  const start = Date.parse(incident.opened);
  const end = Math.max(Date.parse(incident.closed ?? incident.last), start + MINUTE);
  const before = Math.min(48 * HOUR, Math.max(2 * HOUR, end - start));
  return [start - before, end + Math.max(10 * MINUTE, (end - start + before) * 0.06)];
}

/** Address of a sensor at an incident's span. @param {Incident} incident */
export function sensorAt(incident) {
  const [start, end] = storySpan(incident);
  const query = new URLSearchParams({ start: new Date(start).toISOString(), end: new Date(end).toISOString() });
  return `/sensors/${part(incident.sensor_id)}?${query}`;
}

/** Marks and their words. */
export const MARKS = /** @type {[MarkName, string, string][]} */ ([
  ['real', 'Real', 'Something was wrong'],
  ['false', 'False alarm', 'Nothing was wrong'],
  ['expected', 'Expected', 'Known: a test, maintenance; what lasts of it is the new normal'],
]);

/**
 * Marking an incident, shown at once and taken back when the service refuses.
 * @param {Incident} incident
 * @param {(incident: Incident) => void} changed
 */
export function useFeedback(incident, changed) {
  const [error, setError] = useState('');
  /** @param {MarkName | null} feedback */
  const mark = async (feedback) => {
    setError('');
    changed({ ...incident, feedback });
    try {
      changed(await send('PUT', `/incidents/${part(incident.id)}/feedback`, { feedback }));
    } catch (problem) {
      changed(incident);
      setError(`Not saved: ${/** @type {Error} */ (problem).message}`);
    }
  };
  return { mark, error };
}

/** Whether an element has come near the window. @param {{current: Element | null | undefined}} ref */
function useSeen(ref) {
  const [seen, setSeen] = useState(false);
  useEffect(() => {
    if (seen || !ref.current) return undefined;
    const observer = new IntersectionObserver(([entry]) => { if (entry.isIntersecting) setSeen(true); }, { rootMargin: '400px' });
    observer.observe(ref.current);
    return () => observer.disconnect();
  }, [seen]);
  return seen;
}

/** The strongest channel over the incident's story. @param {{incident: Incident}} props */
function CardChart({ incident }) {
  const ref = useRef(/** @type {HTMLElement | null} */ (null));
  const seen = useSeen(ref);
  const asked = incident.evidence[0]?.channel;
  const minute = Math.floor(Date.parse(incident.last) / MINUTE);
  const [start, end] = useMemo(() => storySpan(incident), [incident.id, minute]);
  const view = useMemo(() => new TimeView(start, end), [start, end]);
  const series = useResource(async (signal) => {
    if (!seen) return null;
    const query = { start: new Date(start).toISOString(), end: new Date(end).toISOString(), points: 300, channel: asked };
    return columns(await get(`/sensors/${part(incident.sensor_id)}/series`, query, signal));
  }, [seen, asked, start, end]);
  // A silence has no channel of its own: show the first that was measured before it.
  const channel = asked ?? Object.keys(series.data?.channels ?? {})[0];
  return html`<div class="card-chart" ref=${ref}>
    ${series.data && series.data.time.length === 0 && html`<p class="quiet">No readings in this stretch.</p>`}
    ${series.data && series.data.time.length > 0 && channel && html`<${ChannelChart} view=${view} data=${series.data} channel=${channel} height=${128} small axis focus=${incident.id}
        label=${`${channelName(channel)} of ${sensorOf(incident)}: ${incident.text}`} />`}
    ${series.error && html`<p class="quiet">The chart could not be loaded.</p>`}
  </div>`;
}

/** @param {{incident: Incident, changed: (incident: Incident) => void}} props */
export function IncidentCard({ incident, changed }) {
  const { mark, error } = useFeedback(incident, changed);
  const known = MARKS.find(([name]) => name === incident.feedback);
  return html`
    <article class="card incident-card" aria-labelledby=${`i-${incident.id}`}>
      <header>
        <p class="over"><${Severity} incident=${incident} /><a href=${`/sensors/${part(incident.sensor_id)}`}>${sensorOf(incident)}</a>${incident.state === 'open' ? '' : html`<span class="quiet">closed</span>`}</p>
        <h3 id=${`i-${incident.id}`}>${sentence(incident.title)}</h3>
        <p class="quiet">${incident.state === 'open' ? 'Since' : 'From'} <${Time} at=${incident.opened} form="absolute" />${incident.duration_seconds > 0 ? `, for ${span(incident.duration_seconds * 1000)}` : ''}.${incident.once_in_days === null ? '' : ` By chance: ${onceIn(incident.once_in_days)}.`}</p>
      </header>
      <${CardChart} incident=${incident} />
      <footer class="row">
        <a class="button primary" href=${`/incidents/${part(incident.id)}`} aria-label=${`Look at ${incident.title}`}>Look</a>
        ${known
          ? html`<span class="marked" role="status">Marked: ${known[1].toLowerCase()}</span><button class="plain" onClick=${() => mark(null)}>Undo</button>`
          : html`<button onClick=${() => mark('expected')} title=${MARKS[2][2]}>Expected</button>`}
        ${error && html`<span class="wrong" role="alert">${error}</span>`}
      </footer>
    </article>`;
}

/** One incident, one line. @param {{incident: Incident, named?: boolean}} props */
export function IncidentLine({ incident, named = true }) {
  const shape = incident.state === 'open' ? 'anomaly' : 'learning';
  return html`<li class="line">
    <span class="line-mark" title=${incident.state}><${Mark} shape=${shape} /><span class="sr">${incident.state}</span></span>
    <span class="line-text"><a href=${`/incidents/${part(incident.id)}`}>${sentence(incident.title)}</a>
      ${named && html` <span class="quiet">${sensorOf(incident)}</span>`}</span>
    <span class="line-mark-words quiet">${incident.feedback ? MARKS.find(([m]) => m === incident.feedback)?.[1] : ''}</span>
    <span class="quiet line-time"><${Time} at=${incident.opened} form="absolute" />${incident.duration_seconds > 0 ? `, ${span(incident.duration_seconds * 1000)}` : ''}</span>
  </li>`;
}
