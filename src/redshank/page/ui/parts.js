/** Small pieces that every screen uses. */
import { html, useEffect, useRef, useState } from '../lib/html.js';
import { setKey } from '../lib/api.js';
import { ago, count, exact, moment } from '../lib/format.js';
import { useClock, useNow } from '../lib/hooks.js';
import { connect } from '../lib/socket.js';
import { connection, keyWanted, useValue } from '../lib/store.js';

/** Shapes of states: never colour alone. */
const SHAPES = {
  anomaly: 'M8 1.5 14.5 8 8 14.5 1.5 8Z',
  warning: 'M8 2 14.8 14H1.2Z',
  normal: 'M8 3.5a4.5 4.5 0 1 0 0 9 4.5 4.5 0 0 0 0-9Z',
  learning: 'M8 2.5a5.5 5.5 0 1 0 0 11 5.5 5.5 0 0 0 0-11Zm0 2.2a3.3 3.3 0 1 1 0 6.6 3.3 3.3 0 0 1 0-6.6Z',
  silent: 'M2.5 6.8h11v2.4h-11Z',
};

/** @typedef {keyof typeof SHAPES} Shape */

/** @param {{shape: Shape}} props */
export const Mark = ({ shape }) => html`
  <svg class="mark" data-shape=${shape} viewBox="0 0 16 16" aria-hidden="true"><path fill-rule="evenodd" d=${SHAPES[shape]} /></svg>`;

/** @param {{shape: Shape, word?: string}} props */
export const State = ({ shape, word = shape }) => html`<span class="state" data-shape=${shape}><${Mark} shape=${shape} />${word}</span>`;

const SEVERITY = /** @type {Record<string, Shape>} */ ({ high: 'anomaly', medium: 'warning', low: 'learning' });

/** @param {{incident: {severity: string, state?: string}}} props */
export const Severity = ({ incident }) => html`
  <span class="state" data-shape=${SEVERITY[incident.severity]} title="Severity"><${Mark} shape=${SEVERITY[incident.severity]} />${incident.severity}</span>`;

/**
 * A moment, relative and absolute, the whole of it (in the viewer's zone and UTC) on hover.
 * @param {{at: string | number | null | undefined, form?: 'both' | 'ago' | 'absolute'}} props
 */
export function Time({ at, form = 'both' }) {
  const now = useNow();
  const time = typeof at === 'number' ? at : Date.parse(at ?? '');
  if (!Number.isFinite(time)) return '–';
  const relative = ago(time, now.time);
  const absolute = moment(time, now.time);
  const text = form === 'ago' ? relative : form === 'absolute' ? absolute : html`${relative}<span class="quiet"> · ${absolute}</span>`;
  return html`<time dateTime=${new Date(time).toISOString()} title=${`${exact(time)}\n${exact(time, 'UTC')}`}>${text}</time>`;
}

/** @param {{label: string, class?: string}} props */
export const Loading = ({ label }) => html`<p class="loading" role="status">${label}</p>`;

/**
 * What went wrong and the next step.
 * @param {{error: import('../lib/api.js').ApiError, retry?: () => void}} props
 */
export const Problem = ({ error, retry }) => html`
  <div class="problem" role="alert">
    <h2>${error.title ?? 'This could not be shown'}</h2>
    <p>${error.message}</p>
    <p class="row">
      ${retry && html`<button onClick=${retry}>Try again</button>`}
      <a class="button" href="/">All sensors</a>
    </p>
  </div>`;

/** A text to copy: a command. @param {{text: string}} props */
export function Command({ text }) {
  const [copied, setCopied] = useState(false);
  const copy = async () => {
    await navigator.clipboard.writeText(text);
    setCopied(true);
    setTimeout(() => setCopied(false), 2000);
  };
  return html`<div class="command"><pre tabindex="0"><code>${text}</code></pre>
    <button class="plain" onClick=${copy}><span aria-live="polite">${copied ? 'Copied' : 'Copy'}</span></button></div>`;
}

/** The connection is lost: since when the page is old, and when it tries again. */
export function Disconnected() {
  const state = useValue(connection);
  const wall = useClock(1000);
  const wanted = useValue(keyWanted);
  if (state.state !== 'lost' || wanted) return null;
  const left = Math.max(0, Math.ceil((state.retryAt - wall) / 1000));
  return html`
    <div class="banner" role="status">
      <${Mark} shape="silent" />
      <span>The service does not answer. What you see is from <${Time} at=${state.since} form="absolute" />.
        <span class="count" aria-hidden="true"> ${left ? `Trying again in ${left} s.` : 'Trying now …'}</span></span>
      <button onClick=${connect}>Try now</button>
    </div>`;
}

/** Asks for the API key once; it stays in this tab's session. */
export function KeyDialog() {
  const wanted = useValue(keyWanted);
  const ref = useRef(/** @type {HTMLDialogElement | null} */ (null));
  useEffect(() => {
    if (wanted && !ref.current?.open) ref.current?.showModal();
    if (!wanted && ref.current?.open) ref.current?.close();
  }, [wanted]);
  /** @param {SubmitEvent} event */
  const submit = (event) => {
    event.preventDefault();
    const field = /** @type {HTMLInputElement} */ (/** @type {HTMLFormElement} */ (event.target).elements.namedItem('key'));
    if (field.value.trim()) setKey(field.value.trim());
  };
  return html`
    <dialog ref=${ref} class="key" aria-labelledby="key-title" onCancel=${(/** @type {Event} */ e) => e.preventDefault()}>
      <form onSubmit=${submit}>
        <h2 id="key-title">This service wants its key</h2>
        <p>It is the value of <code>REDSHANK_API_KEY</code> where redshank runs. It stays in this tab and is forgotten when you close it.</p>
        <label>API key<input type="password" name="key" autocomplete="off" required aria-invalid=${Boolean(wanted?.wrong)} aria-describedby="key-error" /></label>
        <p id="key-error" class="wrong">${wanted?.wrong ? 'That key was not accepted.' : ''}</p>
        <button class="primary">Continue</button>
      </form>
    </dialog>`;
}

/**
 * Numbers by name, side by side.
 * @param {{items: [string, any][]}} props
 */
export const Facts = ({ items }) => html`
  <dl class="facts">${items.map(([name, value]) => html`<div key=${name}><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`;

/** @param {{n: number}} props */
export const Badge = ({ n }) => (n ? html`<span class="badge">${count(n)}</span>` : null);
