/** The alarm budget's scale: logarithmic, .1 … 30 a sensor and month. Pure functions. */
import { brief } from './format.js';

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

const VERDICTS = {
  kept: 'The promise is kept: no more false alarms than chance makes of the budget.',
  unclear: 'More incidents without a mark than promised. Mark those that are real or expected; what is left shows whether the promise is kept.',
  exceeded: 'More false alarms than promised, beyond what chance allows. A lower budget is quieter.',
  unknown: 'There is too little data yet to compare.',
};

/** Promised against measured in words. @param {{verdict: keyof typeof VERDICTS}} budget */
export const promiseWords = ({ verdict }) => VERDICTS[verdict];

/**
 * A rate with how far chance may have moved it.
 * @param {import('./types').CountedRate} rate
 */
export function rateWords({ per_sensor_month: rate, low, high }) {
  if (rate === null) return 'nothing was watched';
  return `${brief(rate)} per sensor and month; ${brief(low)} to ${brief(high)} with 95\u202f% confidence`;
}

/**
 * What a budget for each sensor means for all of them together.
 * @param {{fleet_per_day: number, per_sensor_month: number, sensors_sharing: number}} budget
 * @param {number} value false alarms a sensor and month
 * @returns {number} false alarms a day
 */
export const fleetPerDay = ({ fleet_per_day: now, per_sensor_month: applied, sensors_sharing: sharing }, value) =>
  Math.max(0, now + ((value - applied) * sharing) / 30);
