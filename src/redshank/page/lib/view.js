/** The stretch of time that charts share, with their cursor. */
import { DAY, SECOND } from './format.js';

const SHORTEST = 10 * SECOND;
const LONGEST = 20 * 366 * DAY;

export const calm = matchMedia('(prefers-reduced-motion: reduce)');

export class TimeView {
  /** @param {number} start @param {number} end */
  constructor(start, end) {
    this.start = start;
    this.end = end;
    /** @type {number | null} The moment under the pointer. */
    this.cursor = null;
    /** @type {[number, number] | null} What a drag has selected so far. */
    this.selection = null;
    /** @type {Set<() => void>} */
    this.listeners = new Set();
    this.frame = 0;
  }

  get span() { return this.end - this.start; }

  /** @param {() => void} listener called at most once a frame */
  subscribe(listener) {
    this.listeners.add(listener);
    return () => void this.listeners.delete(listener);
  }

  changed() {
    if (this.frame) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = 0;
      for (const listener of [...this.listeners]) listener();
    });
  }

  /** @param {number} start @param {number} end */
  show(start, end) {
    const span = Math.min(LONGEST, Math.max(SHORTEST, end - start));
    const middle = (start + end) / 2;
    const exact = span === end - start;
    this.start = exact ? start : middle - span / 2;
    this.end = exact ? end : middle + span / 2;
    this.changed();
  }

  /** Move there in a few frames, so that live data slide in. @param {number} start @param {number} end */
  glide(start, end) {
    this.target = [start, end];
    if (calm.matches || Math.abs(end - this.end) > this.span / 4) {
      this.target = null;
      this.show(start, end);
    } else if (!this.gliding) this.step();
  }

  step() {
    if (!this.target) { this.gliding = false; return; }
    const [start, end] = this.target;
    const near = Math.abs(end - this.end) < this.span / 2000;
    this.gliding = !near;
    if (near) {
      this.target = null;
      this.show(start, end);
    } else {
      this.show(this.start + (start - this.start) * 0.25, this.end + (end - this.end) * 0.25);
      requestAnimationFrame(() => this.step());
    }
  }

  stop() {
    this.target = null;
    this.gliding = false;
  }

  /** @param {number | null} time */
  point(time) {
    if (time === this.cursor) return;
    this.cursor = time;
    this.changed();
  }

  /** @param {[number, number] | null} selection */
  select(selection) {
    this.selection = selection;
    this.changed();
  }
}

/** @type {number[] | null} */
TimeView.prototype.target = null;
TimeView.prototype.gliding = false;
