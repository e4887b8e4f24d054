import assert from 'node:assert/strict';
import { test } from 'node:test';
import { asOf, asides, byNeed, byWeight, headline, silence } from '../../../src/redshank/page/lib/fleet.js';
import { csv } from '../../../src/redshank/page/lib/csv.js';
import { sparkPath } from '../../../src/redshank/page/ui/spark.js';

const NOW = Date.UTC(2025, 2, 17, 12);

/** @param {Partial<import('../../../src/redshank/page/lib/types').Sensor>} change */
const sensor = (change) => /** @type {any} */ ({
  sensor_id: 'a', name: null, status: 'normal', open_incidents: 0, last_seen: new Date(NOW - 10_000).toISOString(), rhythm_seconds: 60, source: 'http', ...change,
});

/** @param {Partial<Record<string, number>>} counts @param {any[]} [sensors] */
const fleet = (counts, sensors = []) => /** @type {any} */ ({
  total: sensors.length, sensors, counts: { learning: 0, normal: 0, warning: 0, anomaly: 0, with_open_incidents: 0, ...counts },
});

test('the headline answers in words', () => {
  assert.equal(headline(fleet({})), 'No readings yet');
  assert.equal(headline(fleet({ normal: 4 })), 'All 4 sensors are as expected');
  assert.equal(headline(fleet({ normal: 2, anomaly: 2, with_open_incidents: 2 })), '2 of 4 sensors need a look');
  assert.equal(headline(fleet({ normal: 3, anomaly: 1, with_open_incidents: 1 })), '1 of 4 sensors needs a look');
  assert.equal(headline(fleet({ learning: 2 })), '2 sensors are learning what is normal');
  assert.equal(headline(fleet({ normal: 1 })), 'Your sensor is as expected');
});

test('silence is several missed reports, not a late one', () => {
  const at = (/** @type {number} */ ms) => sensor({ last_seen: new Date(NOW - ms).toISOString(), open_incidents: 1 });
  assert.equal(silence(at(200_000), NOW), 0);
  assert.equal(silence(at(400_000), NOW), 400_000);
  assert.equal(silence(sensor({ last_seen: null, open_incidents: 1 }), NOW), 0);
  const silent = sensor({ name: 'Scoe', open_incidents: 1, last_seen: new Date(NOW - 5 * 3600_000).toISOString() });
  assert.deepEqual(asides(fleet({ normal: 1 }, [silent]), NOW), ['Scoe silent for 5 h']);
});

test('a sensor that is usually off now is not called silent', () => {
  const off = { last_seen: new Date(NOW - 5 * 3600_000).toISOString() };
  assert.equal(silence(sensor(off), NOW), 0);
  assert.equal(silence(sensor({ ...off, source: 'replay' }), NOW), 5 * 3600_000);
});

test('a silence that goes on is told as of now', () => {
  const incident = { kind: 'silent', state: 'open', opened: new Date(NOW - 3 * 3600_000).toISOString(), duration_seconds: 9000,
    title: 'silent for 2 h 30 min, as are 4 others of North', text: 'A usually reports every 1 min; silent for 2 h 30 min, since Mon 17 Mar 2025, 09:00 UTC.' };
  const now = asOf(/** @type {any} */ (incident), NOW);
  assert.equal(now.title, 'silent for 3 h, as are 4 others of North');
  assert.equal(now.text, 'A usually reports every 1 min; silent for 3 h, since Mon 17 Mar 2025, 09:00 UTC.');
  assert.equal(now.duration_seconds, 10800);
  const over = /** @type {any} */ ({ ...incident, state: 'closed' });
  assert.equal(asOf(over, NOW), over);
});

test('those in need come first', () => {
  const list = [sensor({ name: 'calm' }), sensor({ name: 'odd', status: 'warning' }), sensor({ name: 'open', open_incidents: 1 }), sensor({ name: 'new', status: 'learning' })];
  assert.deepEqual(list.sort(byNeed).map((s) => s.name), ['open', 'odd', 'new', 'calm']);
});

test('incidents to look at: not judged yet, then the gravest, then the latest', () => {
  const one = (/** @type {string} */ id, /** @type {any} */ severity, /** @type {string} */ opened, /** @type {any} */ feedback = null) => /** @type {any} */ ({ id, severity, opened, feedback });
  const list = [one('judged', 'high', '2025-03-17T11:00', 'real'), one('low', 'low', '2025-03-17T11:00'), one('old', 'high', '2025-03-16T11:00'), one('new', 'high', '2025-03-17T09:00')];
  assert.deepEqual(list.sort(byWeight).map((i) => i.id), ['new', 'old', 'low', 'judged']);
});

test('CSV quotes what needs it and runs no formula', () => {
  assert.equal(csv([['a', 1.5, null, NaN], ['x,y', 'say "hi"', '=1+1', -2]]), 'a,1.5,,\r\n"x,y","say ""hi""",\'=1+1,-2\r\n');
});

test('a sparkline leaves gaps open', () => {
  assert.equal((sparkPath([1, 2, null, 3, 4]).match(/M/g) ?? []).length, 2);
  assert.equal(sparkPath([null, null]), '');
  assert.doesNotMatch(sparkPath([5, 5, 5]), /NaN/);
});
