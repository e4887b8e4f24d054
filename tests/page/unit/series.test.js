import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as s from '../../../src/redshank/page/lib/series.js';

/** @param {number[]} time @param {number[]} values @param {number | null} [bucket] seconds */
function series(time, values, bucket = null) {
  const same = { low: values, high: values, mean: values, expected: values, lower: values.map((v) => v - 1), upper: values.map((v) => v + 1) };
  return s.columns({
    sensor_id: 'a', start: new Date(time[0] ?? 0).toISOString(), end: new Date(time.at(-1) ?? 0).toISOString(), bucket_seconds: bucket, gap_seconds: 30,
    time, channels: { t: { unit: '°C', resolution: 0.1, ...same, contribution: values.map(() => 0), flags: values.map(() => 0) } },
    score: values.map(() => 0), rate: values.map(() => 90), status: values.map(() => 1), incidents: [],
  });
}

/** @param {number} time @param {number} value @param {number} [rate] */
const row = (time, value, rate = 90) => ({
  time, values: { t: value }, expected: { t: value }, lower: { t: value - 1 }, upper: { t: value + 1 }, contributions: {}, flags: {}, score: 0, rate, status: 1,
});

test('a line breaks at gaps, and only there', () => {
  const time = [0, 10, 20, 100, 110];
  assert.deepEqual(s.runs(time, [1, 2, 3, 4, 5], 30), [[0, 3], [3, 5]]);
  assert.deepEqual(s.runs(time, [1, NaN, 3, 4, 5], 30), [[0, 3], [3, 5]], 'one missing value within the gap is bridged');
  assert.deepEqual(s.runs(time, [1, NaN, NaN, NaN, 5], 30), [[0, 1], [4, 5]]);
  assert.deepEqual(s.runs(time, [NaN, NaN, NaN, NaN, NaN], 30), []);
});

test('search by time', () => {
  const time = [10, 20, 30];
  assert.deepEqual([5, 10, 11, 30, 31].map((t) => s.firstAt(time, t)), [0, 0, 1, 2, 3]);
  assert.equal(s.nearest(time, 24, 100), 1);
  assert.equal(s.nearest(time, 26, 100), 2);
  assert.equal(s.nearest(time, 500, 100), -1, 'nothing within the gap');
  assert.equal(s.nearest([], 5, 100), -1);
});

test('pixel columns keep every peak', () => {
  const n = 100_000;
  const time = Float64Array.from({ length: n }, (_, i) => i);
  const mean = new Float64Array(n);
  mean[54_321] = 99;
  const columns = s.pixelColumns(time, { low: mean, high: mean, mean }, [0, n], (t) => (t / n) * 1000);
  assert.ok(columns.length <= 1001);
  assert.equal(Math.max(...columns.map((c) => c.high)), 99);
});

test('the value range holds all values, and the band while it does not flatten them', () => {
  const wide = { ...series([0, 10], [20, 21]).channels.t, lower: Float64Array.of(-500, -500), upper: Float64Array.of(500, 500) };
  const [low, high] = s.valueRange(wide, 0, 2);
  assert.ok(low <= 20 && high >= 21 && high - low < 5);
  const [bottom, top] = s.valueRange(series([0, 10], [100, 100]).channels.t, 0, 2);
  assert.ok(top > bottom, 'a constant has a range too');
});

test('live rows are appended, and old steps leave', () => {
  const data = series([0, 10_000, 20_000], [1, 2, 3]);
  const more = s.withRows(data, [row(30_000, 4), row(40_000, 5)], 10_000);
  assert.deepEqual([...more.time], [10_000, 20_000, 30_000, 40_000]);
  assert.deepEqual([...more.channels.t.mean], [2, 3, 4, 5]);
  assert.equal(s.withRows(data, [row(20_000, 9)], 0), data, 'what is not newer is known already');
});

test('live rows join the last bucket with its extremes', () => {
  const data = series([0, 60_000], [1, 2], 60);
  const more = s.withRows(data, [row(70_000, 9, 0.5), row(80_000, -3), row(130_000, 4)], 0);
  assert.deepEqual([...more.time], [0, 60_000, 120_000]);
  assert.deepEqual([...more.channels.t.high], [1, 9, 4]);
  assert.deepEqual([...more.channels.t.low], [1, -3, 4]);
  assert.equal(more.rate[1], 0.5, 'the rarest moment of a step is what the step says');
});

test('a day of live rows does not grow what is held', () => {
  let data = series([0], [1]);
  for (let t = 1; t <= 5000; t += 1) data = s.withRows(data, [row(t * 10_000, t)], t * 10_000 - 1_000_000);
  assert.ok(data.time.length <= 102);
});

test('heat is full at the budget and nothing where all is ordinary', () => {
  assert.equal(s.heat(3, 3), 1);
  assert.equal(s.heat(0.01, 3), 1);
  assert.equal(s.heat(3000, 3), 0);
  assert.equal(s.heat(NaN, 3), 0);
  assert.ok(s.heat(30, 3) > s.heat(90, 3));
});
