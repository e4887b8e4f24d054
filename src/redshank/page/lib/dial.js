/** The alarm budget's scale: logarithmic, .1 … 30 a sensor and month. Pure functions. */

export const LEAST = 0.1;
export const MOST = 30;
export const STEPS = 100;

/** Values a dial stops at: two digits carry what an alarm budget means. @param {number} value */
const round = (value) => Number(value.toPrecision(2));

/** @param {number} step 0 … STEPS @returns {number} false alarms a sensor and month */
export const valueAt = (step) => round(LEAST * (MOST / LEAST) ** (step / STEPS));

/** @param {number} value @returns {number} step, not rounded */
export const stepOf = (value) => (STEPS * Math.log(Math.min(MOST, Math.max(LEAST, value)) / LEAST)) / Math.log(MOST / LEAST);

/** Marks below the dial. */
export const TICKS = [0.1, 0.3, 1, 3, 10, 30];

/**
 * Promised against measured in words.
 * @param {{promised: {days: number, incidents: number}, measured: {incidents: number, marked_false: number, marked_real: number}}} budget
 */
export function promiseWords({ promised, measured }) {
  if (!promised.incidents) return 'There is too little data yet to compare.';
  const ratio = (measured.incidents - measured.marked_real) / promised.incidents;
  if (ratio <= 1.3) return 'The promise is kept: not more incidents than the budget allows.';
  // The spread of a count is its square root: a handful more than promised may be chance.
  const excess = measured.incidents - measured.marked_real - promised.incidents;
  if (excess <= 2 * Math.sqrt(promised.incidents)) return 'A few more than promised, within what chance allows.';
  return 'More than promised: if most of them are real, mark them so; else the budget can be lowered.';
}
