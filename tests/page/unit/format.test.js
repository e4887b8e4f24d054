import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as f from '../../../src/redshank/page/lib/format.js';

const plain = (/** @type {string} */ text) => text.replaceAll('\u202f', ' ');
const NOON = Date.UTC(2025, 2, 17, 12);

test('a value is rounded to what its channel resolves', () => {
  assert.equal(f.number(99.9949, 0.01), '99.99');
  assert.equal(f.number(21.5, 0.1), '21.5');
  assert.equal(f.number(74916.77, 1), '74,917');
  assert.equal(f.number(-4.25, 0.01), '−4.25');
  assert.equal(f.number(-0.001, 0.01), '0.00');
  assert.equal(f.number(3.14159, null), '3.14');
});

test('what does not exist is a dash, without a unit', () => {
  assert.equal(f.number(null), '–');
  assert.equal(f.quantity(NaN, '°C', 0.1), '–');
  assert.equal(plain(f.quantity(21.5, '°C', 0.1)), '21.5 °C');
  assert.equal(f.quantity(21.5, '', 0.1), '21.5');
});

test('digits come from the resolution', () => {
  for (const [resolution, digits] of [[1, 0], [10, 0], [0.5, 1], [0.1, 1], [0.25, 2], [0.01, 2], [0.001, 3], [1e-9, 6]]) {
    assert.equal(f.digitsOf(resolution), digits, `resolution ${resolution}`);
  }
});

test('a duration names its two largest units', () => {
  assert.equal(f.span(45_000), '45 s');
  assert.equal(f.span(427_000), '7 min 7 s');
  assert.equal(f.span(2_458_000), '41 min');
  assert.equal(f.span(22_200_000), '6 h 10 min');
  assert.equal(f.span(7 * f.DAY + 11 * f.HOUR), '7 d 11 h');
  assert.equal(f.span(40 * f.DAY), '40 d');
});

test('relative times', () => {
  assert.equal(f.ago(NOON - 2000, NOON), 'just now');
  assert.equal(f.ago(NOON - 12_000, NOON), '12 s ago');
  assert.equal(f.ago(NOON - 6 * f.HOUR, NOON), '6 h ago');
  assert.equal(f.ago(NOON - 3 * f.DAY, NOON), '3 days ago');
  assert.equal(f.ago(NOON + 5 * f.MINUTE, NOON), 'in 5 min');
});

test('a moment is named as briefly as is clear', () => {
  assert.equal(f.moment(NOON - f.HOUR, NOON, 'UTC'), '11:00');
  assert.equal(f.moment(NOON - 3 * f.DAY, NOON, 'UTC'), 'Fri 12:00');
  assert.equal(f.moment(NOON - 30 * f.DAY, NOON, 'UTC'), '15 Feb, 12:00');
  assert.equal(f.moment(NOON - 365 * f.DAY, NOON, 'UTC'), '17 Mar 2024, 12:00');
  assert.match(f.exact(NOON, 'Europe/Berlin'), /Mon.*17 Mar 2025.*13:00:00/);
});

test('a range names a shared day once', () => {
  assert.equal(f.range(NOON, NOON + f.HOUR, 'UTC'), '17 Mar 2025, 12:00 – 13:00');
  assert.equal(f.range(NOON, NOON + f.DAY, 'UTC'), '17 Mar, 12:00 – 18 Mar 2025, 12:00');
});

test('waiting times in words', () => {
  assert.equal(f.onceIn(0.25), 'once in 6 hours');
  assert.equal(f.onceIn(1), 'once a day');
  assert.equal(f.onceIn(40), 'once in 40 days');
  assert.equal(f.onceIn(1200), 'once in 3 years');
  assert.equal(f.onceIn(1e6), 'less than once in 100 years');
  assert.equal(f.onceIn(null), 'how often is not known yet');
});

test('budgets in words', () => {
  assert.equal(f.budgetWords(3), '3 a month, about one in 10 days');
  assert.equal(f.budgetWords(1), 'one a month');
  assert.equal(f.budgetWords(0.1), 'one in 10 months');
  assert.equal(f.budgetWords(30), '30 a month, about one a day');
});

test('channels and flags in words', () => {
  assert.equal(f.channelName('sound_level'), 'sound level');
  assert.equal(f.channelName('pm25'), 'PM2.5');
  assert.equal(f.flagWords(1 | 16), 'missing, from the future');
  assert.equal(f.originWords('sensor'), 'a fault of the sensor');
  assert.equal(f.flagWords(64 | 512), 'sudden step, another unit');
  assert.equal(f.sentence('humidity stuck at 99.99 % for 2 h'), 'Humidity stuck at 99.99\u00a0% for 2\u00a0h');
  assert.equal(f.sentence('pH too low'), 'pH too low');
});

test('times that the service wrote in UTC are told in the viewer’s zone', () => {
  const text = 'Humidity has read exactly 99.99 % since Sun 16 Mar 2025, 18:42 UTC (14 h 58 min).';
  assert.equal(f.localTimes(text, NOON, 'Europe/Berlin'), 'Humidity has read exactly 99.99 % since Sun 19:42 (14 h 58 min).');
  assert.equal(f.localTimes('no time here', NOON), 'no time here');
});
