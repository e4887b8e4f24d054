/** The alarm budget's scale: logarithmic, .1 … 30 a sensor and month. Pure functions. */

/** Preferred numbers (IEC 60063, E24): evenly apart on a log scale, two digits each, 1 and 3 among them. */
const DECADE = [10, 11, 12, 13, 15, 16, 18, 20, 22, 24, 27, 30, 33, 36, 39, 43, 47, 51, 56, 62, 68, 75, 82, 91];
const VALUES = [0.01, 0.1, 1].flatMap((scale) => DECADE.map((v) => Number((v * scale).toPrecision(2)))).filter((v) => v <= 30);

/** The dial's last step; its first is 0. */
export const STEPS = VALUES.length - 1;

/** @param {number} step 0 … STEPS @returns {number} false alarms a sensor and month */
export const valueAt = (step) => VALUES[Math.min(STEPS, Math.max(0, Math.round(step)))];

/** @param {number} value @returns {number} where it stands on the dial, between steps if need be */
export function stepOf(value) {
  const right = VALUES.findIndex((v) => v >= value);
  if (right <= 0) return right < 0 ? STEPS : 0;
  return right - 1 + Math.log(value / VALUES[right - 1]) / Math.log(VALUES[right] / VALUES[right - 1]);
}

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
