import assert from 'node:assert/strict';
import { test } from 'node:test';
import { detail, flaggedSteps, runsIn, stepsIn } from '../../../src/redshank/page/lib/detail.js';

const N = 100_000;
/** 100,000 steps of 10 s with a peak at 54,321 and a gap of an hour in the middle. */
function long() {
  const time = Float64Array.from({ length: N }, (_, i) => i * 10_000 + (i >= N / 2 ? 3_600_000 : 0));
  const mean = new Float64Array(N);
  mean[54_321] = 99;
  const flags = new Uint16Array(N);
  flags[7] = 512;
  flags[8] = 1;
  const channel = { unit: '', resolution: 1, low: mean, high: mean, mean, expected: mean, lower: new Float64Array(N).fill(NaN), upper: mean, contribution: mean, flags };
  return { from: 0, to: time[N - 1], bucket: null, gap: 30_000, time, score: mean, rate: mean, status: new Uint8Array(N), channels: { a: channel }, incidents: [] };
}

test('few steps are drawn as they are', () => {
  const data = long();
  assert.equal(detail(data, 'a', [0, 2000], 1000).channel, data.channels.a);
});

test('many steps are drawn as blocks that keep peaks and gaps', () => {
  const data = long();
  const seen = detail(data, 'a', [0, N], 1000);
  assert.ok(seen.time.length < N / 16 + 2);
  assert.equal(Math.max(...seen.channel.high), 99);
  assert.equal(runsIn(seen.time, seen.channel.mean, seen.gap, [0, seen.time.length]).length, 2);
  assert.equal(runsIn(seen.time, seen.channel.lower, seen.gap, [0, seen.time.length]).length, 0, 'no band while learning');
  assert.equal(detail(data, 'a', [0, N], 1000), seen, 'computed once');
});

test('runs are clipped to the view', () => {
  const data = long();
  const at = stepsIn(data.time, { start: 100_000, end: 200_000 });
  assert.deepEqual(runsIn(data.time, data.channels.a.mean, data.gap, at), [at]);
});

test('only flags that a gap does not show get a tick', () => {
  assert.deepEqual(flaggedSteps(long().channels.a.flags), [7]);
});
