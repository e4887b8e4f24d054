/** What the whole page knows: one small observable value. */
import { useEffect, useState } from './html.js';

/**
 * @template T
 * @param {T} initial
 */
export function observable(initial) {
  let value = initial;
  /** @type {Set<(value: T) => void>} */
  const listeners = new Set();
  return {
    get: () => value,
    /** @param {T} next */
    set(next) {
      if (Object.is(next, value)) return;
      value = next;
      for (const listener of [...listeners]) listener(value);
    },
    /** @param {(value: T) => void} listener */
    subscribe(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
  };
}

/**
 * @template T
 * @typedef {{get(): T, set(next: T): void, subscribe(listener: (value: T) => void): () => void}} Observable
 */

/**
 * The value of an observable, in a component.
 * @template T
 * @param {Observable<T>} source
 * @returns {T}
 */
export function useValue(source) {
  const [value, setValue] = useState(source.get());
  useEffect(() => {
    setValue(source.get());
    return source.subscribe((next) => setValue(() => next));
  }, [source]);
  return value;
}

/**
 * @typedef {object} Connection
 * @property {'connecting' | 'open' | 'lost'} state
 * @property {number} since when it came to this state
 * @property {number} retryAt when the next attempt comes, while lost
 */

/** @type {Observable<Connection>} */
export const connection = observable(/** @type {Connection} */ ({ state: 'connecting', since: Date.now(), retryAt: 0 }));

/** Counts up whenever what was fetched before may be out of date: after a reconnect, after the key came. */
export const epoch = observable(0);

/** @type {Observable<string>} */
export const version = observable('');

/** Whether the key dialog is asked for, and what the service said about the last key. */
export const keyWanted = observable(/** @type {null | {wrong: boolean}} */ (null));

/** @type {Observable<null | {source: string, progress: number, text: string}>} */
export const progress = observable(/** @type {any} */ (null));

/** The newest reading the page has heard of, and whether readings come from a recording. */
export const newest = observable({ time: NaN, replay: false });
