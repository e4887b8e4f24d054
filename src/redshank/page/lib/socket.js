/**
 * The live connection: says again what it subscribed to after every reconnect, and waits longer after
 * every failure (1 s … 30 s, with jitter, so that a hundred open pages do not come back at once).
 */
import { key } from './api.js';
import { connection, epoch, keyWanted, observable, progress, version } from './store.js';

/** @typedef {import('./types').Message} Message */

const FIRST_WAIT = 1000;
const LONGEST_WAIT = 30000;

/** @type {Set<(message: Message) => void>} */
const listeners = new Set();
/** What the present screen wants to hear. */
const wish = observable(/** @type {object} */ ({}));
/** @type {WebSocket | null} */
let socket = null;
let failures = 0;
let timer = 0;
let greeted = false;

/** @param {(message: Message) => void} listener */
export function onMessage(listener) {
  listeners.add(listener);
  return () => void listeners.delete(listener);
}

/** Narrow what comes to what a screen needs. @param {object} subscription */
export function subscribe(subscription) {
  wish.set(subscription);
  if (greeted) say({ type: 'subscribe', ...subscription });
}

/** @param {object} message */
const say = (message) => socket?.readyState === WebSocket.OPEN && socket.send(JSON.stringify(message));

/** Connect now, without waiting for the next attempt. */
export function connect() {
  clearTimeout(timer);
  if (socket && socket.readyState <= WebSocket.OPEN) return;
  const next = new WebSocket(`${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}/ws`);
  socket = next;
  greeted = false;
  next.onopen = () => { if (key()) say({ type: 'auth', key: key() }); };
  next.onmessage = (event) => { if (socket === next) receive(JSON.parse(event.data)); };
  next.onclose = () => { if (socket === next) lost(); };
}

/** @param {Message} message */
function receive(message) {
  if (message.type === 'hello') greet(message.version);
  else if (message.type === 'progress') progress.set(message.progress >= 1 ? null : message);
  for (const listener of [...listeners]) listener(message);
}

/** @param {string} release */
function greet(release) {
  greeted = true;
  const again = connection.get().state === 'lost';
  failures = 0;
  version.set(release);
  connection.set({ state: 'open', since: Date.now(), retryAt: 0 });
  if (Object.keys(wish.get()).length) say({ type: 'subscribe', ...wish.get() });
  if (again) epoch.set(epoch.get() + 1);
}

function lost() {
  socket = null;
  failures += 1;
  const wait = Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** (failures - 1)) * (0.8 + 0.4 * Math.random());
  const before = connection.get();
  const since = before.state === 'lost' ? before.since : Date.now();
  connection.set({ state: 'lost', since, retryAt: Date.now() + wait });
  // Without the key every attempt fails alike; the key dialog connects when it has one.
  if (!keyWanted.get()) timer = window.setTimeout(connect, wait);
}

/** A connection opened without the key waits for it in vain: begin anew. */
function withKey() {
  if (greeted) return;
  const old = socket;
  socket = null;
  old?.close();
  connect();
}

/** Start, and come back at once when the network or the key does. */
export function start() {
  connect();
  addEventListener('online', connect);
  document.addEventListener('visibilitychange', () => { if (!document.hidden) connect(); });
  keyWanted.subscribe((wanted) => { if (!wanted) withKey(); });
}
