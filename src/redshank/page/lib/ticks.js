/**
 * Where an axis puts its marks: round numbers, and whole hours, days and months of the viewer's zone.
 */
import { DAY, HOUR, MINUTE, SECOND, clock, clockSeconds, dayMonth, monthYear, date } from './format.js';

/**
 * Round values that cover low … high, at most `most` of them.
 * @param {number} low
 * @param {number} high
 * @param {number} most
 * @returns {number[]}
 */
export function valueTicks(low, high, most) {
  if (!(high > low)) return [low];
  const raw = (high - low) / Math.max(1, most);
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= raw * 0.999) ?? 10 * power;
  const ticks = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i += 1) ticks.push(i * step + 0);
  return ticks;
}

const STEPS = [
  SECOND, 2 * SECOND, 5 * SECOND, 10 * SECOND, 30 * SECOND, MINUTE, 2 * MINUTE, 5 * MINUTE, 10 * MINUTE, 30 * MINUTE,
  HOUR, 2 * HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, DAY, 2 * DAY, 7 * DAY, 14 * DAY,
];
const MONTHS = [1, 2, 3, 6, 12, 24, 60];

/**
 * @param {number} start
 * @param {number} end
 * @param {number} most
 * @returns {{ time: number, label: string, strong: boolean }[]} `strong` marks the first of a day (or of a year)
 */
export function timeTicks(start, end, most) {
  const raw = (end - start) / Math.max(1, most);
  const step = STEPS.find((s) => s >= raw);
  return step ? calendarTicks(start, end, step) : monthTicks(start, end, raw);
}

/**
 * Steps are counted within the local day, so that they stay on whole hours when the clocks change.
 * @param {number} start
 * @param {number} end
 * @param {number} step
 */
function calendarTicks(start, end, step) {
  const ticks = [];
  const days = Math.max(1, Math.round(step / DAY));
  const day = new Date(start);
  day.setHours(0, 0, 0, 0);
  if (step >= DAY) day.setDate(day.getDate() - (localDay(day) % days));
  while (day.getTime() <= end) {
    const midnight = day.getTime();
    day.setDate(day.getDate() + days);
    const inside = Math.min(day.getTime(), end + 1);
    const first = step >= DAY || midnight >= start ? 0 : Math.ceil((start - midnight) / step) * step;
    for (let at = midnight + first; at < inside; at += Math.min(step, days * DAY * 2)) {
      if (at >= start) ticks.push(label(at, at === midnight, step));
      if (step >= DAY) break;
    }
  }
  return ticks;
}

/** Number of the local day since 1970. @param {Date} day */
const localDay = (day) => Math.round((day.getTime() - day.getTimezoneOffset() * MINUTE) / DAY);

/**
 * @param {number} time
 * @param {boolean} midnight
 * @param {number} step
 */
function label(time, midnight, step) {
  const text = midnight ? dayMonth(time) : step < MINUTE ? clockSeconds(time) : clock(time);
  return { time, label: text, strong: midnight && step < DAY };
}

/**
 * @param {number} start
 * @param {number} end
 * @param {number} raw
 */
function monthTicks(start, end, raw) {
  const months = MONTHS.find((m) => m * 30 * DAY >= raw) ?? 120;
  const at = new Date(start);
  at.setHours(0, 0, 0, 0);
  at.setDate(1);
  at.setMonth(Math.floor(at.getMonth() / months) * months);
  const ticks = [];
  while (at.getTime() <= end) {
    const january = at.getMonth() === 0;
    if (at.getTime() >= start) ticks.push({ time: at.getTime(), label: monthYear(at.getTime()), strong: january });
    at.setMonth(at.getMonth() + months);
  }
  return ticks.length ? ticks : [{ time: start, label: date(start), strong: false }];
}
