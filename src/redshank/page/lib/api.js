/** Calls to the service: JSON in and out, problem details as errors, the key asked for once. */
import { epoch, keyWanted } from './store.js';

const KEY = 'redshank-key';

/** @returns {string | null} */
export const key = () => sessionStorage.getItem(KEY);

/** @param {string} value */
export function setKey(value) {
  sessionStorage.setItem(KEY, value);
  keyWanted.set(null);
  epoch.set(epoch.get() + 1);
}

/** An answer that is not the one asked for; `status` 0 means that there was none. */
export class ApiError extends Error {
  /** @param {number} status @param {string} title @param {string} detail */
  constructor(status, title, detail) {
    super(detail || title);
    this.status = status;
    this.title = title;
  }
}

/**
 * @param {string} path
 * @param {Record<string, string | number | string[] | null | undefined>} [query]
 */
export function url(path, query = {}) {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (Array.isArray(value)) value.forEach((v) => search.append(name, v));
    else if (value !== null && value !== undefined && value !== '') search.set(name, String(value));
  }
  const text = search.toString();
  return text ? `${path}?${text}` : path;
}

/**
 * @param {string} address
 * @param {RequestInit & {accept?: string}} [options]
 * @returns {Promise<Response>}
 */
async function call(address, { accept = 'application/json', ...options } = {}) {
  const headers = new Headers({ Accept: accept });
  const secret = key();
  if (secret) headers.set('X-API-Key', secret);
  if (options.body) headers.set('Content-Type', 'application/json');
  /** @type {Response} */
  let response;
  try {
    response = await fetch(address, { ...options, headers, cache: 'no-store' });
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') throw error;
    throw new ApiError(0, 'The service does not answer', 'Is redshank running? The page tries again by itself.');
  }
  if (response.ok) return response;
  if (response.status === 401) keyWanted.set({ wrong: secret !== null });
  throw await problem(response);
}

/** @param {Response} response */
async function problem(response) {
  const body = await response.json().catch(() => ({}));
  return new ApiError(response.status, body.title ?? `Status ${response.status}`, body.detail ?? '');
}

/**
 * @template T
 * @param {string} path
 * @param {Parameters<typeof url>[1]} [query]
 * @param {AbortSignal} [signal]
 * @returns {Promise<T>}
 */
export const get = async (path, query, signal) => (await call(url(path, query), { signal })).json();

/**
 * @template T
 * @param {'PUT' | 'POST' | 'PATCH'} method
 * @param {string} path
 * @param {unknown} body
 * @returns {Promise<T>}
 */
export const send = async (method, path, body) => (await call(path, { method, body: JSON.stringify(body) })).json();

/** @param {string} path @param {string} [accept] @returns {Promise<Blob>} */
export const blob = async (path, accept = 'text/csv') => (await call(path, { accept })).blob();

/** @param {string} id */
export const part = (id) => encodeURIComponent(id);
