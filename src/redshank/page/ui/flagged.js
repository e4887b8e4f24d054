/** Readings that carry quality flags, newest first. */
import { html, useState } from '../lib/html.js';
import { get, part } from '../lib/api.js';
import { FLAGS, channelName, flagWord, quantity } from '../lib/format.js';
import { useMessages, useResource, useThrottled } from '../lib/hooks.js';
import { Time } from './parts.js';

/**
 * @typedef {import('../lib/types').Sensor} Sensor
 * @typedef {import('../lib/types').FlaggedEvent} FlaggedEvent
 */

const STEP = 10;
const HALF_HOUR = 1800e3;
/** What a sensor leaves out is usual for many; it is listed where it is asked for. */
const TELLING = FLAGS.map(([, name]) => name).filter((name) => name !== 'missing');

/** The half hour before and after a moment. @param {string} id @param {string} at */
function around(id, at) {
  const time = Date.parse(at);
  const query = { start: new Date(time - HALF_HOUR).toISOString(), end: new Date(time + HALF_HOUR).toISOString() };
  return `/sensors/${part(id)}?${new URLSearchParams(query)}`;
}

/** Channels by the flags that they share. @param {FlaggedEvent} row @param {string[]} wanted */
function byFlags(row, wanted) {
  /** @type {Map<string, string[]>} */
  const groups = new Map();
  for (const [name, flags] of Object.entries(row.flags ?? {})) {
    const words = flags.filter((flag) => wanted.includes(flag)).map(flagWord).join(', ');
    if (words) groups.set(words, [...(groups.get(words) ?? []), name]);
  }
  return [...groups];
}

/** @param {{sensor: Sensor, row: FlaggedEvent, wanted: string[]}} props */
function Row({ sensor, row, wanted }) {
  /** @param {string} name */
  const value = (name) => {
    const [c, found] = [sensor.channels[name], row[name]];
    return typeof found === 'number' ? html` <b>${quantity(found, c?.unit ?? '', c?.resolution ?? null)}</b>` : '';
  };
  return html`<li class="line flagged">
    <a href=${around(sensor.sensor_id, row.timestamp)}><${Time} at=${row.timestamp} form="absolute" /></a>
    <span class="line-text">${byFlags(row, wanted).map(([words, names]) => html`<span key=${words}>
      ${names.map((name, i) => html`<span key=${name}>${i ? ', ' : ''}${channelName(name)}${value(name)}</span>`)}: <span class="flags">${words}</span>${' '}</span>`)}</span></li>`;
}

/** @param {{sensor: Sensor}} props */
export function Flagged({ sensor }) {
  const [only, setOnly] = useState('');
  const [limit, setLimit] = useState(STEP);
  const wanted = only ? [only] : TELLING;
  const id = sensor.sensor_id;
  const found = useResource(
    (signal) => /** @type {Promise<FlaggedEvent[]>} */ (get('/events/latest', { sensor_id: id, flag: wanted, limit: limit + 1 }, signal)), [id, only, limit]);
  const again = useThrottled(found.reload, 5000);
  useMessages((message) => {
    if (message.type !== 'verdicts' || message.sensor_id !== id) return;
    if (message.rows.some((row) => Object.values(row.flags).some((bits) => bits > 1))) again();
  });
  const rows = found.data ?? [];
  return html`<section aria-labelledby="flagged-title">
    <div class="section-head"><h2 id="flagged-title">Flagged readings</h2>
      <label class="push">Flag <select value=${only} onChange=${(/** @type {any} */ e) => { setOnly(e.target.value); setLimit(STEP); }}>
        <option value="">any but missing</option>
        ${FLAGS.map(([, name, word]) => html`<option key=${name} value=${name}>${word}</option>`)}</select></label></div>
    ${found.error ? html`<p class="wrong" role="alert">${found.error.message} <button class="plain" onClick=${found.reload}>Try again</button></p>`
      : rows.length ? html`<ul class="lines">${rows.slice(0, limit).map((row) => html`<${Row} key=${row.event_id} sensor=${sensor} row=${row} wanted=${wanted} />`)}</ul>`
        : html`<p class="nothing">${found.loading ? 'Loading …' : only ? 'None with this flag.' : 'None so far.'}</p>`}
    ${rows.length > limit && html`<p><button class="plain" onClick=${() => setLimit(limit * 2)}>More</button></p>`}
  </section>`;
}
