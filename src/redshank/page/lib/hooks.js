/** Hooks that screens share. */
import { useCallback, useEffect, useRef, useState } from './html.js';
import { onMessage } from './socket.js';
import { connection, epoch, newest, useValue } from './store.js';
import { MINUTE } from './format.js';

/**
 * @template T
 * @typedef {object} Resource
 * @property {T | undefined} data the last good answer, kept while a newer one is on its way
 * @property {import('./api.js').ApiError | undefined} error
 * @property {boolean} loading
 * @property {() => void} reload
 * @property {(change: (data: T) => T) => void} update change what is shown before the service says so
 */

/**
 * Something fetched, again whenever `deps` change, after a reconnect, and on `reload()`.
 * What was there stays until the new answer is: a page never flickers back to empty.
 * @template T
 * @param {(signal: AbortSignal) => Promise<T>} fetcher
 * @param {unknown[]} deps
 * @returns {Resource<T>}
 */
export function useResource(fetcher, deps) {
  const round = useValue(epoch);
  const [turn, setTurn] = useState(0);
  const [state, setState] = useState(/** @type {{data?: T, error?: any, loading: boolean}} */ ({ loading: true }));
  useEffect(() => {
    const abort = new AbortController();
    setState((old) => ({ ...old, loading: true }));
    fetcher(abort.signal).then(
      (data) => { if (!abort.signal.aborted) setState({ data, loading: false }); },
      (error) => { if (!abort.signal.aborted) setState((old) => ({ data: old.data, error, loading: false })); },
    );
    return () => abort.abort();
  }, [...deps, round, turn]);
  const reload = useCallback(() => setTurn((n) => n + 1), []);
  const update = useCallback((/** @type {(data: T) => T} */ change) => {
    setState((old) => (old.data === undefined ? old : { ...old, data: change(old.data) }));
  }, []);
  return { data: state.data, error: state.error, loading: state.loading, reload, update };
}

/** @param {(message: import('./types').Message) => void} handler */
export function useMessages(handler) {
  const latest = useRef(handler);
  latest.current = handler;
  useEffect(() => onMessage((message) => latest.current?.(message)), []);
}

/** Run `job` at most once per `wait` ms, however often it is called. @param {() => void} job @param {number} wait */
export function useThrottled(job, wait) {
  const latest = useRef(job);
  latest.current = job;
  const timer = useRef(0);
  useEffect(() => () => clearTimeout(timer.current ?? 0), []);
  return useCallback(() => {
    if (timer.current) return;
    timer.current = window.setTimeout(() => {
      timer.current = 0;
      latest.current?.();
    }, wait);
  }, [wait]);
}

/** The wall clock, counted every few seconds. @param {number} step */
export function useClock(step) {
  const [time, setTime] = useState(Date.now());
  useEffect(() => {
    const timer = setInterval(() => setTime(Date.now()), step);
    return () => clearInterval(timer);
  }, [step]);
  return time;
}

/**
 * @typedef {object} Now
 * @property {number} time the moment that "ago" counts from
 * @property {boolean} recorded the readings are a recording, so that "now" is the newest of them
 */

/**
 * The page's notion of now: the wall clock, but the newest reading where a recording is replayed.
 * @returns {Now}
 */
export function useNow() {
  const wall = useClock(5000);
  return nowOf(useValue(newest), wall);
}

/**
 * @param {{time: number, replay: boolean}} last
 * @param {number} wall
 * @returns {Now}
 */
export function nowOf(last, wall) {
  const away = wall - last.time;
  const recorded = last.replay && (away > 10 * MINUTE || away < -10 * MINUTE);
  // A little ahead is this machine's clock; far ahead is the sensor's, and says nothing of the others.
  const near = away >= -10 * MINUTE;
  return { time: recorded || (near && last.time > wall) ? last.time : wall, recorded };
}

/** Whether what the page shows may be out of date. */
export const useStale = () => useValue(connection).state === 'lost';

/** The page's title in the browser's tab. @param {string} text */
export function useTitle(text) {
  useEffect(() => { document.title = text ? `${text} · redshank` : 'redshank'; }, [text]);
}

/** Size of an element, followed. @param {{current: HTMLElement | null | undefined}} ref */
export function useWidth(ref) {
  const [width, setWidth] = useState(0);
  useEffect(() => {
    const element = ref.current;
    if (!element) return undefined;
    const observer = new ResizeObserver(([entry]) => setWidth(Math.floor(entry.contentRect.width)));
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  return width;
}
