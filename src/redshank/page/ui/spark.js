/** A line the size of a word: 24 hours of a channel. */
import { html } from '../lib/html.js';

const WIDTH = 96;
const HEIGHT = 24;

/**
 * Path data with a break wherever a step has no reading.
 * @param {(number | null)[]} values
 */
export function sparkPath(values) {
  const known = values.filter((v) => v !== null);
  if (!known.length) return '';
  const low = Math.min(...known);
  const size = Math.max(...known) - low;
  let path = '';
  let joined = false;
  values.forEach((v, i) => {
    if (v === null) { joined = false; return; }
    const x = (1 + (i / Math.max(1, values.length - 1)) * (WIDTH - 2)).toFixed(1);
    const y = (size > 0 ? HEIGHT - 3 - ((v - low) / size) * (HEIGHT - 6) : HEIGHT / 2).toFixed(1);
    path += `${joined ? 'L' : 'M'}${x} ${y}`;
    if (!joined && (values[i + 1] ?? null) === null) path += 'h.01';
    joined = true;
  });
  return path;
}

/** @param {{values: (number | null)[] | undefined}} props */
export const Spark = ({ values }) => html`
  <svg class="spark" viewBox="0 0 ${WIDTH} ${HEIGHT}" preserveAspectRatio="none" aria-hidden="true">
    ${values && html`<path d=${sparkPath(values)} />`}
  </svg>`;
