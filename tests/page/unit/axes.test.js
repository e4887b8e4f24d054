import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DAY, HOUR } from '../../../src/redshank/page/lib/format.js';
import { timeTicks, valueTicks } from '../../../src/redshank/page/lib/ticks.js';
import { parseRange, presetRange, rangeQuery, serves, wanted } from '../../../src/redshank/page/lib/range.js';
import { STEPS, fleetPerDay, promiseWords, rateWords, stepOf, valueAt } from '../../../src/redshank/page/lib/dial.js';

const extent = { first: Date.UTC(2025, 2, 10), last: Date.UTC(2025, 2, 17, 12) };

test('value ticks are round and inside', () => {
  assert.deepEqual(valueTicks(0, 100, 5), [0, 20, 40, 60, 80, 100]);
  assert.deepEqual(valueTicks(3, 3, 5), [3]);
  for (const tick of valueTicks(-0.37, 4.2, 4)) assert.ok(tick >= -0.37 && tick <= 4.2);
});

test('time ticks are few, ascending and inside, at every zoom', () => {
  for (const span of [20_000, 600_000, HOUR, 6 * HOUR, DAY, 7 * DAY, 30 * DAY, 365 * DAY, 3650 * DAY]) {
    const ticks = timeTicks(extent.last - span, extent.last, 10);
    assert.ok(ticks.length >= 1 && ticks.length <= 13, `${span}: ${ticks.length} ticks`);
    ticks.forEach((t, i) => {
      assert.ok(t.time >= extent.last - span && t.time <= extent.last);
      if (i) assert.ok(t.time > ticks[i - 1].time);
    });
  }
});

test('daily ticks stay on midnight when the clocks change', () => {
  const start = new Date(2025, 2, 28).getTime();
  for (const tick of timeTicks(start, start + 5 * DAY, 6)) assert.equal(new Date(tick.time).getHours(), 0);
});

test('an address says the same range after a reload', () => {
  for (const search of ['', 'range=7d', 'start=2025-03-11T00:00:00.000Z&end=2025-03-12T00:00:00.000Z']) {
    const range = parseRange(search, extent);
    const query = new URLSearchParams(Object.entries(rangeQuery(range)).flatMap(([k, v]) => (v === null ? [] : [[k, v]])));
    assert.deepEqual(parseRange(query.toString(), extent), range);
  }
  assert.equal(parseRange('range=nonsense', extent).preset, '24h');
  assert.ok(presetRange('all', extent).start < extent.first);
});

test('what was fetched for a view serves it, and panning a little', () => {
  const view = { start: extent.last - DAY, end: extent.last };
  const want = wanted(view, 900);
  const data = { from: want.start, to: want.end, bucket: (3 * DAY) / want.points };
  assert.ok(serves(data, view, 900, extent));
  assert.ok(serves(data, { start: view.start - DAY / 2, end: view.end - DAY / 2 }, 900, extent));
  assert.ok(!serves(data, { start: view.start - DAY, end: view.end - DAY }, 900, extent), 'too far');
  assert.ok(!serves(data, { start: extent.last - HOUR, end: extent.last }, 900, extent), 'too coarse');
});

test('the dial is logarithmic and comes back to its values', () => {
  assert.equal(valueAt(0), 0.1);
  assert.equal(valueAt(STEPS), 30);
  for (const value of [0.3, 1, 3, 10]) assert.equal(valueAt(stepOf(value)), value);
  for (let step = 0; step <= STEPS; step += 1) assert.equal(valueAt(Math.round(stepOf(valueAt(step)))), valueAt(step));
});

test('promised against measured in words', () => {
  assert.match(promiseWords({ verdict: 'kept' }), /is kept/);
  assert.match(promiseWords({ verdict: 'unclear' }), /Mark those/);
  assert.equal(rateWords({ count: 1, per_sensor_month: 1.07, low: 0.027, high: 5.96 }), '1.1 per sensor and month; 0.027 to 6 with 95\u202f% confidence');
  assert.equal(rateWords({ count: 0, per_sensor_month: null, low: null, high: null }), 'nothing was watched');
});

test('a budget of each sensor is one of all of them', () => {
  const budget = { fleet_per_day: 0.5, per_sensor_month: 3, sensors_sharing: 4 };
  assert.equal(fleetPerDay(budget, 3), 0.5);
  assert.ok(Math.abs(fleetPerDay(budget, 6) - 0.9) < 1e-9);
});
