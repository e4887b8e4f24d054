/** Budget: the one knob, in false alarms per sensor and month, and what it would have meant. */
import { html, useEffect, useState } from '../lib/html.js';
import { get, part, send } from '../lib/api.js';
import { STEPS, TICKS, fleetPerDay, promiseWords, rateWords, stepOf, valueAt } from '../lib/dial.js';
import { brief, budgetWords, count, onceIn, plural, sentence, span } from '../lib/format.js';
import { nameOf, newestOf } from '../lib/fleet.js';
import { useMessages, useResource, useTitle } from '../lib/hooks.js';
import { address, setQuery } from '../lib/router.js';
import { newest, useValue } from '../lib/store.js';
import { sensorOf } from '../ui/incident-card.js';
import { Loading, Problem, Time } from '../ui/parts.js';

/**
 * @typedef {import('../lib/types').Budget} Budget
 * @typedef {import('../lib/types').Preview} Preview
 * @typedef {import('../lib/types').Sensor} Sensor
 */

const LISTED = 50;

/** @param {{value: number, onChange: (value: number) => void, applied: number}} props */
function Dial({ value, onChange, applied }) {
  const at = Math.round(stepOf(value));
  const place = (/** @type {number} */ v) => `calc(var(--thumb) / 2 + (100% - var(--thumb)) * ${stepOf(v) / STEPS})`;
  return html`<div class="dial">
    <label for="dial">False alarms per sensor and month</label>
    <div class="dial-track">
      <input id="dial" type="range" min="0" max=${STEPS} step="1" value=${at} aria-valuetext=${`${brief(value)} per sensor and month: ${budgetWords(value)}`}
        onInput=${(/** @type {any} */ e) => onChange(valueAt(Number(e.target.value)))} />
      <span class="dial-applied" style=${{ left: place(applied) }} aria-hidden="true"></span>
    </div>
    <div class="dial-ticks" aria-hidden="true">${TICKS.map((v) => html`<span key=${v} style=${{ left: place(v) }}>${v}</span>`)}</div>
    <div class="dial-ends quiet" aria-hidden="true"><span>quiet, only the extreme</span><span>early, more to check</span></div>
  </div>`;
}

/** @param {{preview: import('../lib/hooks.js').Resource<Preview>, value: number, applied: number}} props */
function Outcome({ preview, value, applied }) {
  const data = preview.data;
  if (!data) return preview.error ? html`<p class="wrong" role="alert">${preview.error.message} <button class="plain" onClick=${preview.reload}>Try again</button></p>` : html`<${Loading} label="Looking back 30 days …" />`;
  const same = Math.abs(value - applied) < 0.005 * applied;
  const difference = data.count - data.count_now;
  const words = same || !difference ? 'as many as now' : `${plural(Math.abs(difference), difference > 0 ? 'more' : 'fewer', difference > 0 ? 'more' : 'fewer')} than now`;
  return html`<section aria-labelledby="outcome-title" class=${preview.loading ? 'updating' : ''}>
    <div role="status"><h2 id="outcome-title">At this budget, the last ${data.days} days would have brought ${plural(data.count, 'incident')}<span class="quiet">, ${words}</span></h2></div>
    ${data.incidents.length ? html`<ul class="lines">${[...data.incidents].sort((a, b) => b.opened.localeCompare(a.opened)).slice(0, LISTED).map((i) => html`<li class="line" key=${i.sensor_id + i.opened}>
        <span class="line-text"><a href=${i.id ? `/incidents/${part(i.id)}` : around(i)}>${i.title ? sentence(i.title) : sensorOf(i)}</a> <span class="quiet">${i.title ? sensorOf(i) : ''}${i.id ? '' : ' would be new'}</span></span>
        <span class="quiet line-rate">${i.rate > 0 ? `${onceIn(30 / i.rate)} by chance` : 'not by chance'}</span>
        <span class="quiet line-time"><${Time} at=${i.opened} form="absolute" />, ${span(Date.parse(i.last) - Date.parse(i.opened))}</span></li>`)}</ul>`
      : html`<p class="nothing">None: at this budget nothing in the last ${data.days} days would have been an incident.</p>`}
    ${data.incidents.length > LISTED && html`<p class="quiet">and ${count(data.incidents.length - LISTED)} more.</p>`}
  </section>`;
}

/** @param {import('../lib/types').PreviewIncident} i */
function around(i) {
  const start = Date.parse(i.opened);
  const end = Date.parse(i.last);
  const pad = Math.max(3600e3, end - start);
  return `/sensors/${part(i.sensor_id)}?${new URLSearchParams({ start: new Date(start - pad).toISOString(), end: new Date(end + pad).toISOString() })}`;
}

/** Of the whole fleet, or of the one sensor that is looked at. @param {{fleet: Budget, chosen: string, sensors: Sensor[]}} props */
function Kept({ fleet, chosen, sensors }) {
  const own = useResource((signal) => /** @type {Promise<Budget | null>} */ (chosen ? get('/budget', { sensor_id: chosen }, signal) : Promise.resolve(null)), [chosen, fleet]);
  const budget = chosen ? own.data : fleet;
  const sensor = sensors.find((s) => s.sensor_id === chosen);
  return budget && html`<${Compared} budget=${budget} whose=${chosen ? `, ${sensor ? nameOf(sensor) : chosen}` : ''} />`;
}

/** @param {{budget: Budget, whose: string}} props */
const Compared = ({ budget, whose }) => html`<section aria-labelledby="promise-title"><h2 id="promise-title">Promised against measured${whose}</h2>
  <p>${promiseWords(budget)}</p>
  <dl class="facts">
    <div><dt>Promised at most</dt><dd>${brief(budget.promised.incidents)} <span class="quiet">false alarms in ${budget.promised.days} days, ${brief(budget.promised.sensor_months)} sensor months</span></dd></div>
    <div><dt>Measured</dt><dd>${plural(budget.measured.incidents, 'incident')} <span class="quiet">opened in these days: ${count(budget.measured.marked_real)} marked real, ${count(budget.measured.marked_expected)} expected, ${count(budget.measured.marked_false)} false, ${count(budget.measured.unmarked)} without a mark</span></dd></div>
    <div><dt>False alarms at least</dt><dd>${count(budget.measured.false.count)} <span class="quiet">marked false: ${rateWords(budget.measured.false)}</span></dd></div>
    <div><dt>False alarms at most</dt><dd>${count(budget.measured.false_or_unmarked.count)} <span class="quiet">with those that nobody has marked: ${rateWords(budget.measured.false_or_unmarked)}</span></dd></div>
  </dl>
  ${budget.too_slow.count > 0 && html`<p class="quiet">${plural(budget.too_slow.count, 'sensor reports', 'sensors report')} too seldom to bring as many incidents as the budget allows: ${budget.too_slow.sensors.join(', ')}${budget.too_slow.count > budget.too_slow.sensors.length ? ' …' : ''}.</p>`}
  </section>`;

/** Whether the budget is kept as a total for all sensors. @param {{budget: Budget, value: number, total: boolean, onChange: (total: boolean) => void}} props */
const Total = ({ budget, value, total, onChange }) => html`<label class="whose total"><input type="checkbox" checked=${total} onChange=${(/** @type {any} */ e) => onChange(e.target.checked)} />
  <span>Keep it as ${brief(fleetPerDay(budget, value))} a day for all ${plural(budget.sensors, 'sensor')} together, shared out anew when sensors come or go</span></label>`;

/** @param {{value: number}} props */
function useDebounced({ value }) {
  const [late, setLate] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => setLate(value), 150);
    return () => clearTimeout(timer);
  }, [value]);
  return late;
}

/** Whose budget: the fleet's or one sensor's. @param {{sensors: Sensor[], chosen: string, own: Record<string, number>}} props */
const Whose = ({ sensors, chosen, own }) => html`<label class="whose">Budget of
  <select value=${chosen} onChange=${(/** @type {any} */ e) => setQuery({ sensor: e.target.value }, { replace: false })}>
    <option value="">every sensor</option>
    ${sensors.map((s) => html`<option key=${s.sensor_id} value=${s.sensor_id}>${nameOf(s)}${own[s.sensor_id] ? ` (its own: ${brief(own[s.sensor_id])})` : ''}</option>`)}
  </select></label>`;

/** @param {{budget: Budget, reload: () => void, chosen: string, sensors: Sensor[]}} props */
function Setting({ budget, reload, chosen, sensors }) {
  const applied = (chosen && budget.sensors_with_own[chosen]) || budget.per_sensor_month;
  const [value, setValue] = useState(applied);
  const [total, setTotal] = useState(budget.per_fleet_day !== null);
  const [note, setNote] = useState('');
  const [busy, setBusy] = useState(false);
  useEffect(() => setValue(applied), [applied, chosen]);
  useEffect(() => setTotal(budget.per_fleet_day !== null), [budget.per_fleet_day, chosen]);
  const late = useDebounced({ value });
  const preview = useResource((signal) => /** @type {Promise<Preview>} */ (get('/budget/preview', { per_sensor_month: late, days: 30, sensor_id: chosen }, signal)), [late, chosen, applied]);
  const same = Math.abs(value - applied) < 0.005 * applied && (Boolean(chosen) || total === (budget.per_fleet_day !== null));
  /** @param {number | null} next */
  const apply = async (next) => {
    setBusy(true);
    try {
      if (chosen) await send('PATCH', `/sensors/${part(chosen)}`, { budget: next });
      else await send('PUT', '/budget', total && next !== null ? { per_fleet_day: fleetPerDay(budget, next) } : { per_sensor_month: next });
      setNote(next === null ? 'It follows the fleet’s budget again.' : `In force: ${brief(next)} per sensor and month, for the past 30 days too.`);
      reload();
    } catch (problem) {
      setNote(`Not saved: ${/** @type {Error} */ (problem).message}`);
    }
    setBusy(false);
  };
  return html`
    <section class="card setting" aria-label="Setting">
      <${Whose} sensors=${sensors} chosen=${chosen} own=${budget.sensors_with_own} />
      <p class="budget-value"><b>${brief(value)}</b> <span>${budgetWords(value).replace(`${brief(value)} a month`, 'a month')}, ${chosen ? 'for this sensor' : 'for each sensor'}</span></p>
      <${Dial} value=${value} onChange=${(/** @type {number} */ v) => { setValue(v); setNote(''); }} applied=${applied} />
      ${!chosen && budget.sensors > 0 && html`<${Total} budget=${budget} value=${value} total=${total} onChange=${(/** @type {boolean} */ v) => { setTotal(v); setNote(''); }} />`}
      <div class="row">
        <button class="primary" disabled=${same || busy} onClick=${() => apply(value)}>Apply</button>
        <button disabled=${same || busy} onClick=${() => { setValue(applied); setTotal(budget.per_fleet_day !== null); }}>Keep ${brief(applied)}</button>
        ${chosen && budget.sensors_with_own[chosen] !== undefined && html`<button class="plain" onClick=${() => apply(null)}>Use the fleet’s</button>`}
        <span role="status" class="quiet">${note}</span>
      </div>
    </section>
    <${Outcome} preview=${preview} value=${value} applied=${applied} />`;
}

export function BudgetScreen() {
  const params = new URLSearchParams(useValue(address).split('?')[1] ?? '');
  const chosen = params.get('sensor') ?? '';
  const budget = useResource((signal) => /** @type {Promise<Budget>} */ (get('/budget', {}, signal)), []);
  const fleet = useResource((signal) => /** @type {Promise<import('../lib/types').Fleet>} */ (get('/sensors', { limit: 200 }, signal)), []);
  useMessages((message) => { if (message.type === 'budget') budget.reload(); });
  useEffect(() => { if (fleet.data?.sensors.length) newest.set(newestOf(fleet.data)); }, [fleet.data]);
  useTitle('Alarm budget');
  if (!budget.data) return budget.error ? html`<${Problem} error=${budget.error} retry=${budget.reload} />` : html`<${Loading} label="Looking up the budget …" />`;
  return html`
    <header class="screen-head"><h1>How many false alarms are you ready to check?</h1>
      <p class="lead">This is the only threshold. redshank raises an incident when a normal sensor would show something as extreme less often than this.</p></header>
    <${Setting} budget=${budget.data} reload=${budget.reload} chosen=${chosen} sensors=${fleet.data?.sensors ?? []} />
    <${Kept} fleet=${budget.data} chosen=${chosen} sensors=${fleet.data?.sensors ?? []} />`;
}
