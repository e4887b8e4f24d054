/** Incident: the story, then the evidence, then what you say about it. */
import { html, useEffect, useMemo, useRef, useState } from '../lib/html.js';
import { get, part, send } from '../lib/api.js';
import { DAY, MINUTE, certainty, channelName, localTimes, number, onceIn, originWords, percent, plural, quantity, sentence, span, tied } from '../lib/format.js';
import { asOf, hearOf } from '../lib/fleet.js';
import { useMessages, useNow, useResource, useStale, useTitle, useWidth } from '../lib/hooks.js';
import { columns, shifted } from '../lib/series.js';
import { subscribe } from '../lib/socket.js';
import { TimeView } from '../lib/view.js';
import { ChannelPanel, Pointed } from '../ui/channel.js';
import { TimeAxis } from '../ui/chart.js';
import { MARKS, sensorAt, sensorOf, storySpan, useFeedback } from '../ui/incident-card.js';
import { Facts, Loading, Problem, Severity, Time } from '../ui/parts.js';
import { Stack } from '../ui/stack.js';

/**
 * @typedef {import('../lib/types').Incident} Incident
 * @typedef {import('../lib/types').Columns} Columns
 * @typedef {import('../lib/types').Sensor} Sensor
 */

const MOST_CHARTS = 4;
/** Channels that carry less than this of the score explain nothing. */
const LEAST_SHARE = 0.02;

/** The channels that explain it, strongest first. @param {Incident} incident */
const causes = (incident) => incident.evidence.filter((e, i) => i === 0 || e.share >= LEAST_SHARE);

/** @param {Incident} incident @param {[number, number]} at @param {string[]} channel @param {AbortSignal} signal @returns {Promise<Columns>} */
const stretch = async (incident, [start, end], channel, signal) =>
  columns(await get(`/sensors/${part(incident.sensor_id)}/series`, { start: new Date(start).toISOString(), end: new Date(end).toISOString(), points: 800, channel }, signal));

/** The same hours yesterday and last week, as far as there were readings. @param {Incident} incident @param {[number, number]} at @param {string[]} names */
function useGhosts(incident, at, names) {
  return useResource(async (signal) => {
    const kinds = /** @type {[string, number, 1 | 2][]} */ ([['yesterday', DAY, 1], ['last week', 7 * DAY, 2]]);
    const all = await Promise.all(kinds.map(async ([words, by, kind]) => {
      const data = await stretch(incident, [at[0] - by, at[1] - by], names, signal);
      return { words, kind, data: shifted(data, by) };
    }));
    return all.filter((g) => g.data.time.length > 1);
  }, [incident.id, at[0], at[1]]);
}

/** @param {{incident: Incident}} props */
function Evidence({ incident }) {
  const ref = useRef(/** @type {HTMLElement | null} */ (null));
  const width = useWidth(ref);
  const minute = Math.floor(Date.parse(incident.last) / MINUTE);
  const at = useMemo(() => storySpan(incident), [incident.id, minute]);
  const [base, setBase] = useState(at);
  const view = useMemo(() => new TimeView(base[0], base[1]), [incident.id]);
  useEffect(() => { setBase(at); view.show(at[0], at[1]); }, [at]);
  const asked = causes(incident).slice(0, MOST_CHARTS).map((e) => e.channel);
  const series = useResource((signal) => stretch(incident, base, asked, signal), [incident.id, base[0], base[1]]);
  const ghosts = useGhosts(incident, base, asked);
  const former = useRef(/** @type {[number, number][]} */ ([]));
  const settle = () => setBase([view.start, view.end]);
  const moves = {
    zoom: (/** @type {number} */ start, /** @type {number} */ end) => { former.current?.push(base); view.show(start, end); settle(); },
    moved: settle,
    back: () => { const [start, end] = former.current?.pop() ?? at; view.show(start, end); setBase([start, end]); },
  };
  const data = series.data;
  // A silence has no channel of its own: show what was measured before it.
  const names = asked.length ? asked : Object.keys(data?.channels ?? {}).slice(0, MOST_CHARTS);
  return html`<section aria-labelledby="evidence-title" class="evidence" ref=${ref}>
    <div class="section-head"><h2 id="evidence-title">What was measured</h2>
      <p class="legend quiet"><span><i class="swatch value"></i>measured</span><span><i class="swatch band"></i>expected</span><span><i class="swatch span"></i>incident</span><span><i class="swatch flag"></i>flagged</span>
        ${(ghosts.data ?? []).map((g) => html`<span key=${g.kind}><i class=${`swatch ghost${g.kind}`}></i>${g.words}</span>`)}</p>
      <a class="button push" href=${sensorAt(incident)}>All channels</a></div>
    ${series.error && !data && html`<p class="wrong" role="alert">${series.error.message} <button class="plain" onClick=${series.reload}>Try again</button></p>`}
    ${!data && !series.error && html`<div class="placeholder" style=${{ height: `${names.length * 210}px` }}><${Loading} label="Loading readings …" /></div>`}
    ${data && html`<${Stack} view=${view} moves=${moves} label="Charts of this incident. Arrow keys move in time, plus and minus zoom, Escape goes back.">
      <div class="strip"><${Pointed} view=${view} data=${data} /></div>
      ${names.filter((n) => data.channels[n]).map((name) => html`<${ChannelPanel} key=${name} view=${view} data=${data} channel=${name} title=${null} height=${width < 600 ? 128 : 152} ghosts=${ghosts.data ?? []} focus=${incident.id} />`)}
      <div class="axis"><${TimeAxis} view=${view} /></div>
    </${Stack}>`}
  </section>`;
}

/** @param {{incident: Incident, channels: Sensor['channels']}} props */
function Causes({ incident, channels }) {
  const shown = causes(incident);
  const calm = incident.calm.filter((name) => !shown.some((e) => e.channel === name));
  return html`
  <section aria-labelledby="why-title"><h2 id="why-title">Why</h2>
    <ul class="bars">${shown.map((e) => html`<li key=${e.channel}>
      <span class="bar-name">${sentence(channelName(e.channel))}</span>
      <meter min="0" max="1" value=${e.share} aria-label=${`Share of ${channelName(e.channel)}`}></meter>
      <span class="bar-share">${percent(e.share)}</span>
      <span class="quiet bar-words">${quantity(e.value, e.unit, channels[e.channel]?.resolution)}${e.lower === null ? '' : `, expected ${number(e.lower, channels[e.channel]?.resolution)} to ${quantity(e.upper, e.unit, channels[e.channel]?.resolution)}`}</span>
    </li>`)}</ul>
    <p class="calm"><span class="quiet">As expected all along:</span> ${calm.length ? calm.map(channelName).join(', ') : html`<span class="quiet">no other channel</span>`}</p>
  </section>`;
}

/** @param {{incident: Incident, changed: (incident: Incident) => void}} props */
function Feedback({ incident, changed }) {
  const { mark, error } = useFeedback(incident, changed);
  const known = MARKS.find(([name]) => name === incident.feedback);
  return html`<section aria-labelledby="mark-title" class="feedback"><h2 id="mark-title">Was this right?</h2>
    <div class="row" role="group" aria-labelledby="mark-title">${MARKS.map(([name, word, title]) => html`
      <button key=${name} aria-pressed=${incident.feedback === name} title=${title} onClick=${() => mark(incident.feedback === name ? null : name)}>${word}</button>`)}
    </div>
    <p role="status" class="quiet">${known ? html`Marked: ${known[2].toLowerCase()}. <button class="plain" onClick=${() => mark(null)}>Undo</button>` : 'One tap. It shows in the budget how well the promise is kept.'}</p>
    ${error && html`<p class="wrong" role="alert">${error}</p>`}
  </section>`;
}

/** @param {{incident: Incident, changed: (incident: Incident) => void}} props */
function Comments({ incident, changed }) {
  const [text, setText] = useState('');
  const [error, setError] = useState('');
  /** @param {Event} event */
  const add = async (event) => {
    event.preventDefault();
    if (!text.trim()) return;
    try {
      changed(await send('POST', `/incidents/${part(incident.id)}/comments`, { text: text.trim(), author: '' }));
      setText('');
      setError('');
    } catch (problem) {
      setError(`Not saved: ${/** @type {Error} */ (problem).message}`);
    }
  };
  return html`<section aria-labelledby="comments-title"><h2 id="comments-title">Comments</h2>
    <ul class="comments">${incident.comments.map((c) => html`<li key=${c.time + c.text}><p>${c.text}</p><p class="quiet">${c.author ? `${c.author}, ` : ''}<${Time} at=${c.time} form="absolute" /></p></li>`)}</ul>
    <form class="comment" onSubmit=${add}><label><span class="sr">Comment</span><textarea rows="2" placeholder="What did you find?" value=${text} onInput=${(/** @type {any} */ e) => setText(e.target.value)}></textarea></label>
      <button disabled=${!text.trim()}>Comment</button></form>
    ${error && html`<p class="wrong" role="alert">${error}</p>`}
  </section>`;
}

/** @param {{incident: Incident}} props */
const Notified = ({ incident }) => html`
  <section aria-labelledby="notified-title"><h2 id="notified-title">Told</h2>
    ${incident.notifications.length
      ? html`<ul class="comments">${incident.notifications.map((n, i) => html`<li key=${i}><p>${n.to ?? n.channel ?? 'somebody'}${n.status ? `: ${n.status}` : ''}</p><p class="quiet">${n.time && html`<${Time} at=${n.time} form="absolute" />`} ${n.text ?? ''}</p></li>`)}</ul>`
      : html`<p class="nothing">Nobody was notified: this page and the HTTP interface are the only places that know.</p>`}
  </section>`;

/** @param {{id: string}} props */
export function IncidentScreen({ id }) {
  const resource = useResource((signal) => /** @type {Promise<Incident>} */ (get(`/incidents/${part(id)}`, {}, signal)), [id]);
  const sensorId = resource.data?.sensor_id;
  const sensor = useResource(async (signal) => (sensorId ? /** @type {Promise<Sensor>} */ (get(`/sensors/${part(sensorId)}`, {}, signal)) : null), [sensorId]);
  useEffect(() => { if (sensor.data) hearOf(sensor.data); }, [sensor.data]);
  const [gone, setGone] = useState(false);
  const stale = useStale();
  const now = useNow();
  useEffect(() => subscribe({}), []);
  useMessages((message) => {
    if (message.type !== 'incident' || message.incident.id !== id) return;
    if (message.change === 'removed') setGone(true);
    else resource.update(() => message.incident);
  });
  const incident = resource.data && asOf(resource.data, now.time);
  useTitle(incident ? `${sensorOf(incident)}: ${incident.title}` : 'Incident');
  if (!incident) return resource.error ? html`<${Problem} error=${resource.error} retry=${resource.reload} />` : html`<${Loading} label="Looking for the incident …" />`;
  const changed = (/** @type {Incident} */ next) => resource.update(() => next);
  return html`
    <header class=${`screen-head ${stale ? 'stale' : ''}`}>
      <p class="crumb"><a href="/">Sensors</a> / <a href=${`/sensors/${part(incident.sensor_id)}`}>${sensorOf(incident)}</a></p>
      <h1>${sentence(incident.title)}</h1>
      ${gone && html`<p class="wrong" role="alert">At the present alarm budget this is no incident any more.</p>`}
      <p class="lead story">${tied(localTimes(incident.text, now.time))}</p>
      <${Facts} items=${[
        ['State', html`${incident.state} ${incident.duration_seconds > 0 && html`<span class="quiet">${incident.state === 'open' ? 'for' : 'lasted'} ${span(incident.duration_seconds * 1000)}</span>`}`],
        ['Since', html`<${Time} at=${incident.opened} />`],
        incident.closed && ['Closed', html`<${Time} at=${incident.closed} form="absolute" />`],
        incident.once_in_days !== null && ['How sure', html`${certainty(incident.once_in_days)} <span class="quiet">this extreme ${onceIn(incident.once_in_days)} by chance</span>`],
        ['Severity', html`<${Severity} incident=${incident} />`],
        ['Kind', html`${incident.kind.replaceAll('_', ' ')} ${incident.rows > 0 && html`<span class="quiet">${plural(incident.rows, 'reading')}</span>`}`],
        incident.origin !== 'unknown' && ['Looks like', originWords(incident.origin)],
      ].filter(Boolean)} />
    </header>
    <div class="two">
      ${incident.evidence.length > 0 && html`<${Causes} incident=${incident} channels=${sensor.data?.channels ?? {}} />`}
      <${Feedback} incident=${incident} changed=${changed} />
    </div>
    <${Evidence} incident=${incident} />
    <div class="two"><${Comments} incident=${incident} changed=${changed} /><${Notified} incident=${incident} /></div>`;
}
