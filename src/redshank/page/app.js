/** The page: frame, addresses, live connection. */
import { html, render, useEffect, useRef } from './lib/html.js';
import { get } from './lib/api.js';
import { date, moment } from './lib/format.js';
import { useNow } from './lib/hooks.js';
import { address, listen } from './lib/router.js';
import { start } from './lib/socket.js';
import { connection, progress, useValue, version } from './lib/store.js';
import { Disconnected, KeyDialog, Mark } from './ui/parts.js';
import { Now } from './screens/now.js';
import { SensorScreen } from './screens/sensor.js';
import { IncidentScreen } from './screens/incident.js';
import { BudgetScreen } from './screens/budget.js';

/** @param {string} path */
function route(path) {
  const [, kind, id] = path.split('/').map(decodeURIComponent);
  if (!kind) return { name: 'now', screen: html`<${Now} />` };
  if (kind === 'sensors' && id) return { name: 'sensor', screen: html`<${SensorScreen} key=${id} id=${id} />` };
  if (kind === 'incidents' && id) return { name: 'incident', screen: html`<${IncidentScreen} key=${id} id=${id} />` };
  if (kind === 'budget') return { name: 'budget', screen: html`<${BudgetScreen} />` };
  return { name: 'missing', screen: html`<h1>There is no such page</h1><p><a href="/">All sensors</a></p>` };
}

/** How live the page is, in words. */
function Liveness() {
  const state = useValue(connection).state;
  const now = useNow();
  if (state === 'lost') return html`<span class="live"><${Mark} shape="silent" />Not connected</span>`;
  if (state === 'connecting') return html`<span class="live">Connecting …</span>`;
  if (now.recorded) return html`<span class="live" title="The readings are a recording: times count from its newest reading"><span class="wide">Recording, as of ${moment(now.time, Date.now())}</span><span class="narrow">${date(now.time)}</span></span>`;
  return html`<span class="live"><${Mark} shape="normal" />Live</span>`;
}

function Progress() {
  const running = useValue(progress);
  const percent = Math.round((running?.progress ?? 0) * 100);
  // Sources that follow live sensors report what they read too; only a way to go is worth a bar.
  if (!running || percent <= 0 || percent >= 100) return null;
  return html`<div class="progress" role="status">
    <progress max="100" value=${percent} aria-label=${`Progress of ${running.source}`}></progress>
    <span>${running.text || running.source} <span class="quiet">${percent} %</span></span></div>`;
}

function Footer() {
  const release = useValue(version);
  return html`<footer><span>redshank ${release}</span><a href="/docs">HTTP interface</a>
    <span class="quiet">Times are in your zone, ${Intl.DateTimeFormat().resolvedOptions().timeZone}</span></footer>`;
}

function App() {
  const at = useValue(address);
  const { name, screen } = route(at.split('?')[0]);
  const main = useRef(/** @type {HTMLElement | null} */ (null));
  const before = useRef(name);
  const path = at.split('?')[0];
  useEffect(() => {
    if (before.current !== path && before.current !== name) main.current?.focus({ preventScroll: true });
    before.current = path;
  }, [path]);
  return html`
    <a class="skip" href="#main">Skip to content</a>
    <header class="top">
      <a class="home" href="/" aria-label="redshank, all sensors"><svg viewBox="0 0 24 24" aria-hidden="true"><path class="bird" d="M3 9.5 9.2 8c.7-2 2.2-3 4-3 2 0 3.400 1.300 3.700 3.300 2.300.5 3.900 2 5.100 4.300-2.600-.3-3.700.2-5 1.400-1.300 1.200-2.800 1.600-4.500 1.600-2.800 0-4.600-1.700-4.500-5.100L3 9.500Z" /><path class="legs" d="M11.500 15.500 10 22M14.500 15.500 14 22" /></svg>redshank</a>
      <nav aria-label="Screens">
        <a href="/" aria-current=${name === 'now' ? 'page' : null}>Now</a>
        <a href="/budget" aria-current=${name === 'budget' ? 'page' : null}>Budget</a>
      </nav>
      <${Liveness} />
    </header>
    <${Progress} />
    <${Disconnected} />
    <main id="main" tabindex="-1" ref=${main}>${screen}</main>
    <${Footer} />
    <${KeyDialog} />`;
}

listen();
start();
get('/health').then((/** @type {any} */ health) => version.set(health.version), () => {});
render(html`<${App} />`, /** @type {HTMLElement} */ (document.getElementById('app')));
