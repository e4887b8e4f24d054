/** One channel of a sensor: heading with what is under the cursor, chart, table. */
import { html, useEffect, useState } from '../lib/html.js';
import { channelName, exact, flagWords, moment, number, percent, quantity, sentence, clockSeconds } from '../lib/format.js';
import { firstAt, nearest } from '../lib/series.js';
import { ChannelChart } from './chart.js';

/**
 * @typedef {import('../lib/types').Columns} Columns
 * @typedef {import('../lib/view.js').TimeView} TimeView
 */

const TABLE_ROWS = 300;
const STATES = ['learning', 'normal', 'warning', 'anomaly'];

/** The view's turn, so that a component follows the cursor. @param {TimeView} view */
function useView(view) {
  const [, turn] = useState(0);
  useEffect(() => view.subscribe(() => turn((n) => n + 1)), [view]);
}

/**
 * The step under the cursor, or the last one in view.
 * @param {Columns} data
 * @param {TimeView} view
 */
function stepAt(data, view) {
  if (view.cursor !== null) return nearest(data.time, view.cursor, data.gap);
  const last = firstAt(data.time, view.end + 1) - 1;
  return last >= 0 && data.time[last] >= view.start ? last : -1;
}

/** What the cursor points at, of all channels: when, and how unusual. @param {{view: TimeView, data: Columns}} props */
export function Pointed({ view, data }) {
  useView(view);
  const i = stepAt(data, view);
  if (i < 0) return html`<p class="pointed quiet">${view.cursor === null ? 'No readings in this range' : `${moment(view.cursor, data.to)}: no reading`}</p>`;
  const rate = data.rate[i];
  const words = Number.isNaN(rate) ? 'learning' : `${STATES[data.status[i]]}, ${rate >= 1000 ? 'quite ordinary' : `by chance ${rate < 0.1 ? 'less than 0.1' : number(rate, rate < 10 ? 0.1 : 1)} times a month`}`;
  return html`<p class="pointed quiet"><span class="at">${view.cursor === null ? 'Newest in view: ' : ''}${moment(data.time[i], data.to)}${data.bucket ? '' : `:${clockSeconds(data.time[i]).slice(-2)}`}</span> ${words}</p>`;
}

/** @param {{view: TimeView, data: Columns, channel: string}} props */
function Readout({ view, data, channel }) {
  useView(view);
  const c = data.channels[channel];
  const i = stepAt(data, view);
  if (i < 0 || Number.isNaN(c.mean[i])) return html`<p class="readout"><b>–</b> <span class="quiet">${i >= 0 && c.flags[i] ? flagWords(c.flags[i]) : 'no reading'}</span></p>`;
  const spread = c.high[i] - c.low[i] > (c.resolution ?? 0);
  const flags = flagWords(c.flags[i]);
  const outside = c.mean[i] < c.lower[i] || c.mean[i] > c.upper[i];
  const unusual = data.status[i] >= 2;
  return html`<p class="readout">
    <b class=${outside && data.status[i] === 3 ? 'outside' : ''}>${quantity(c.mean[i], c.unit, c.resolution)}</b>
    ${spread && html`<span class="quiet wide">${number(c.low[i], c.resolution)} to ${number(c.high[i], c.resolution)}</span>`}
    ${!Number.isNaN(c.lower[i]) && html`<span class="quiet">${outside ? 'outside' : 'expected'} ${number(c.lower[i], c.resolution)} to ${number(c.upper[i], c.resolution)}</span>`}
    ${unusual && c.contribution[i] >= 0.005 && html`<span class="quiet wide">${percent(Math.min(1, c.contribution[i]))} of the score</span>`}
    ${flags && html`<span class="flags">${flags}</span>`}
  </p>`;
}

/** @param {{view: TimeView, data: Columns, channel: string}} props */
function Table({ view, data, channel }) {
  const c = data.channels[channel];
  const from = firstAt(data.time, view.start);
  const to = firstAt(data.time, view.end);
  const step = Math.max(1, Math.ceil((to - from) / TABLE_ROWS));
  const rows = [];
  for (let i = from; i < to; i += step) rows.push(i);
  /** @param {number} v */
  const n = (v) => number(v, c.resolution);
  return html`<div class="scroll" tabindex="0" role="region" aria-label=${`Table of ${channelName(channel)}`}><table>
    <caption>${sentence(channelName(channel))}${c.unit ? ` in ${c.unit}` : ''}${step > 1 ? `, every ${step}th of ${to - from} steps; the CSV export has all` : ''}</caption>
    <thead><tr><th scope="col">Time</th><th scope="col">Value</th><th scope="col">Lowest</th><th scope="col">Highest</th><th scope="col">Expected</th><th scope="col">Band</th><th scope="col">State</th><th scope="col">Flags</th></tr></thead>
    <tbody>${rows.map((i) => html`<tr key=${data.time[i]}><th scope="row">${exact(data.time[i])}</th><td>${n(c.mean[i])}</td><td>${n(c.low[i])}</td><td>${n(c.high[i])}</td><td>${n(c.expected[i])}</td><td>${n(c.lower[i])} to ${n(c.upper[i])}</td><td>${STATES[data.status[i]]}</td><td>${flagWords(c.flags[i])}</td></tr>`)}</tbody>
  </table></div>`;
}

/** What a chart shows in one sentence. @param {Columns} data @param {string} channel @param {TimeView} view */
function words(data, channel, view) {
  const c = data.channels[channel];
  let low = Infinity;
  let high = -Infinity;
  for (let i = firstAt(data.time, view.start); i < data.time.length && data.time[i] <= view.end; i += 1) {
    if (c.low[i] < low) low = c.low[i];
    if (c.high[i] > high) high = c.high[i];
  }
  const spans = data.incidents.filter((s) => s.channels.includes(channel)).length;
  if (low > high) return `${channelName(channel)}: no readings in this range`;
  return `${channelName(channel)}: ${quantity(low, c.unit, c.resolution)} to ${quantity(high, c.unit, c.resolution)}${spans ? `, ${spans} anomalous ${spans === 1 ? 'span' : 'spans'}` : ''}`;
}

/** @param {{view: TimeView, data: Columns, channel: string, title: string | null, height: number, ghosts?: any, focus?: string}} props */
export function ChannelPanel({ view, data, channel, title, height, ghosts, focus }) {
  const [table, setTable] = useState(false);
  return html`<section class="channel" aria-label=${channelName(channel)}>
    <header><h3 title=${title ?? ''}>${sentence(channelName(channel))}</h3><${Readout} view=${view} data=${data} channel=${channel} />
      <button class="plain push" aria-expanded=${table} onClick=${() => setTable(!table)}>Table<span class="sr"> of ${channelName(channel)}</span></button></header>
    <${ChannelChart} view=${view} data=${data} channel=${channel} height=${height} ghosts=${ghosts} focus=${focus} label=${words(data, channel, view)} />
    ${table && html`<${Table} view=${view} data=${data} channel=${channel} />`}
  </section>`;
}
