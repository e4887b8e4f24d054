/** Addresses that can be shared: the History API behind ordinary links. */
import { observable } from './store.js';

/** The page's own addresses; every other link is the browser's. */
const OWN = /^\/($|sensors\/[^/]+$|incidents\/[^/]+$|budget$)/;

const here = () => location.pathname + location.search;
export const address = observable(here());

/**
 * @param {string} to
 * @param {{replace?: boolean, keepScroll?: boolean}} [options]
 */
export function navigate(to, { replace = false, keepScroll = replace } = {}) {
  if (to === here()) return;
  history[replace ? 'replaceState' : 'pushState'](null, '', to);
  address.set(here());
  if (!keepScroll) scrollTo(0, 0);
}

/** Change the query of the present address, keeping the rest. @param {Record<string, string | null>} change */
export function setQuery(change, { replace = true } = {}) {
  const query = new URLSearchParams(location.search);
  for (const [name, value] of Object.entries(change)) {
    if (value === null || value === '') query.delete(name);
    else query.set(name, value);
  }
  const text = query.toString();
  navigate(location.pathname + (text ? `?${text}` : ''), { replace, keepScroll: true });
}

/** Take over the browser's buttons and plain clicks on links of the page's own. */
export function listen() {
  addEventListener('popstate', () => address.set(here()));
  document.addEventListener('click', (event) => {
    const link = event.target instanceof Element ? event.target.closest('a') : null;
    if (!link || event.defaultPrevented || event.button !== 0) return;
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey || link.target || link.download) return;
    if (link.origin !== location.origin || !OWN.test(link.pathname)) return;
    event.preventDefault();
    navigate(link.pathname + link.search);
  });
}
