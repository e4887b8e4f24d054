"""The compiled row loop against a slow reading of docs/detector.md, row by row."""

import math

import numpy as np
import pytest

from redshank.detect.streaming import StreamingPool, StreamingSettings, kernels, learning

PARTS = ("V", "Q", "S", "X", "F", "M")
ADDS = {"L": 0.6, "A": 0.4}
WEIGHT = {"V": 2, "Q": 1, "S": 1, "X": 1, "F": 1, "M": 1}
SHAPES, PRIOR = (0.35, 0.5, 0.75, 1, 1.5, 2), (0.002, 0.01, 0.1, 0.4, 0.3, 0.188)
PRIOR_PEAKS = 3
FROM = (-5.3, -1.45, 2.35, 3.25)


def widened(halves):
    return (halves.astype(np.uint32) << 16).view(np.float32).astype(float)


def pooled(part, values, chosen):
    """Root mean square for Q, fourth-power mean for the others."""
    power = 2 if part == "Q" else 4
    return (sum(values[j] ** power for j in chosen) / len(chosen)) ** (1 / power)


class SlowModel:
    """One fitted model, in double precision, from the fields of its block."""

    def __init__(self, shape, block):
        self.shape, self.c = shape, shape.channels
        for name in kernels.FIELDS:
            field = shape.field(block, name)
            setattr(self, name, widened(field) if name == "centres" else field.astype(float))
        c = self.c
        self.weights = self.weights.reshape(c, -1)
        self.basis = self.basis.reshape(shape.rank, -1)[: int(self.rank[0])]
        self.centres = self.centres[: shape.centres * shape.window].reshape(-1, shape.window)
        self.window = list(self.window.reshape(-1, c))
        self.ring = [list(column) for column in self.ring.reshape(-1, c).T]
        self.covariance, self.precision = (
            m.reshape(c, c).copy() for m in (self.covariance, self.precision)
        )
        self.rows = int(self.rows[0])

    def row(self, values, measured):
        """Evidence x and the forecast of one row; then the model learns from it."""
        lags = self.shape.lags
        past = np.concatenate([*self.window[:lags], self.slow, [1.0]])
        forecast = np.clip(self.weights @ past, -20, 20)
        seen = np.isfinite(values)
        y = np.where(seen, np.clip((values - self.mean) * self.scale, -20, 20), forecast)
        self.window = [y, *self.window[:lags]]
        part = self.components(y, forecast, seen)
        x = self.combine(part, seen, measured)
        self.learn(y)
        return x, self.mean + forecast / self.scale

    def components(self, y, forecast, seen):
        c = self.c
        flat = np.concatenate(self.window)
        rest = flat - self.basis.T @ (self.basis @ flat)
        q = np.sqrt((rest.reshape(-1, c) ** 2).mean(axis=0)) / self.q_scale
        for j in np.flatnonzero(seen):
            self.level_now[j] += 0.05 * (y[j] - self.level_now[j])
            self.activity_now[j] += 0.05 * (abs(y[j] - self.ring[j][0]) - self.activity_now[j])
            self.ring[j] = [y[j], *self.ring[j][:-1]]
        d = y - self.level
        self.x_memory += 0.4 * (self.precision @ d * self.x_norm - self.x_memory)
        return {
            "V": np.where(seen, np.minimum(abs(y - forecast) / self.v_scale, 30), 0),
            "Q": self.recalibrated(q, self.q_drift),
            "S": self.recalibrated(self.roughness("s", 30), self.s_drift),
            "F": self.recalibrated(self.roughness("f", 10), self.f_drift),
            "X": np.minimum(abs(self.x_memory) / self.x_scale, 30),
            "L": self.outside("level"),
            "A": self.outside("activity"),
        }

    def outside(self, name):
        """How far a slow mean is outside its usual range, in its widths."""
        now, low, high, unit = (
            getattr(self, f"{name}_{part}") for part in ("now", "low", "high", "unit")
        )
        return np.maximum(np.maximum(now - high, low - now), 0) * unit

    def roughness(self, name, rows):
        out = []
        for j in range(self.c):
            d = math.log(np.std(self.ring[j][:rows]) + 0.01) - getattr(self, f"{name}_mid")[j]
            side = getattr(self, f"{name}_{'up' if d > 0 else 'low'}")[j]
            out.append(min(abs(d) * side, 20))
        return np.array(out)

    def recalibrated(self, a, drift):
        by = np.maximum(drift, 1)
        drift += (np.minimum(a**2, 3 * by) - drift) / 4000
        return a / np.sqrt(by)

    def combine(self, part, seen, measured):
        own, all_ = list(np.flatnonzero(measured)), list(range(self.c))
        for k, name in enumerate(PARTS):
            if name == "M":
                far = [np.linalg.norm(np.concatenate(self.window) - m) for m in self.centres]
                self.smooth(k, min(far, default=0))
                continue
            for at, chosen in ((k, own), (8 + k, all_))[: 2 if k < 4 else 1]:
                chosen = [j for j in chosen if name != "V" or seen[j]]
                if chosen:
                    self.smooth(at, pooled(name, part[name], chosen))
        usual = self.usual(own)
        return math.sqrt(
            usual**2 + self.novelty("L", 0, part, own) + self.novelty("A", 1, part, own)
        )

    def usual(self, own):
        with_m = PARTS if self.shape.centres else PARTS[:-1]
        measurements, everything = self.view(with_m, 0), self.view(PARTS[:4], 8)
        if not own:
            return everything
        if len(own) == self.c:
            return measurements
        return math.sqrt((measurements + 0.02) * (everything + 0.02)) - 0.02

    def novelty(self, name, k, part, own):
        """What level or activity adds to the square of the evidence."""
        whole = pooled(name, part[name], own) if own else 0
        by = max(self.strange_drift[k], 1)
        size = min((whole / self.strange[k]) ** 2, 9 * by)
        self.strange_drift[k] += (size - self.strange_drift[k]) / 1000
        self.smooth(6 + k, whole / math.sqrt(by))
        raised = max((self.evidence[6 + k] - self.mid[6 + k]) * self.span[6 + k], 0)
        return (ADDS[name] * max(math.log1p(raised) - 1, 0)) ** 2

    def smooth(self, k, value):
        self.evidence[k] += 0.4 * (value - self.evidence[k])

    def view(self, names, start):
        top = below = 0
        for k, name in enumerate(names, start):
            raised = max((self.evidence[k] - self.mid[k]) * self.span[k], 0)
            top += WEIGHT[name] * math.log1p(raised) ** 2
            below += WEIGHT[name]
        return math.sqrt(top / below)

    def learn(self, y):
        self.rows += 1
        weight = 1 / min(self.rows, 1000)
        d = y - self.level
        self.covariance += weight * (np.outer(d, d) - self.covariance)
        self.level = self.level + weight * d
        if self.rows % 32 == 0:
            self.precision = np.linalg.inv(self.covariance + 0.02 * np.eye(self.c))
            self.x_norm = 1 / np.sqrt(np.diag(self.precision))
        self.slow = self.slow + 0.1 * (y - self.slow)


class SlowTrack:
    def __init__(self):
        self.peaks = np.zeros(64)
        self.below = None
        self.refresh()

    def refresh(self):
        mass, first = 0.0, 64
        while first > 0 and mass < 25:
            first -= 1
            mass += self.peaks[first]
        self.first, self.mass = first, mass
        self.start = math.exp(0.065 * first)
        used = [i for i in range(first, 64) if self.peaks[i] > 0]
        excess = np.array([math.exp(0.065 * (i + 0.5)) - self.start for i in used])
        weight = self.peaks[used]
        log_share, self.spread = [], []
        for k, prior in zip(SHAPES, PRIOR, strict=True):
            b = PRIOR_PEAKS * 0.3**k
            self.spread.append(b + (weight * excess**k).sum())
            log_share.append(
                math.log(prior)
                + mass * math.log(k)
                + (k - 1) * (weight * np.log(excess)).sum()
                + PRIOR_PEAKS * math.log(b)
                - (PRIOR_PEAKS + mass) * math.log(self.spread[-1])
            )
        share = np.exp(np.array(log_share) - max(log_share))
        self.share = share / share.sum()

    def expected(self, level, rows):
        if level <= 1:
            return rows
        if level <= self.start:
            return self.mass + self.peaks[int(math.log(level) / 0.065) : self.first].sum() + 0.5
        tail = sum(
            share * (1 + (level - self.start) ** k / spread) ** -(PRIOR_PEAKS + self.mass)
            for share, k, spread in zip(self.share, SHAPES, self.spread, strict=True)
        )
        return (self.mass + 0.5) * tail


class SlowStage:
    """From evidence to score and rate."""

    def __init__(self, history):
        self.body = np.zeros(96)
        for x in history:
            self.add(x, min(1, 400 / len(history)))
        self.gathered = self.trusted = self.informed = self.memory = 0.0
        self.quantiles()
        self.tracks = [SlowTrack(), SlowTrack()]
        self.rows = self.open_rows = self.quiet = 0
        self.old, self.returning, self.recent = None, 0, []
        for x in history:
            self.row(x)
        self.memory = 0.0

    def add(self, x, weight):
        self.body[min(int(x / 0.055), 95)] += weight
        if self.body.sum() > 400:
            self.body /= 2

    def quantile(self, part):
        before = np.cumsum(self.body) - self.body
        wanted = part * self.body.sum()
        i = next(i for i in range(96) if self.body[i] > 0 and before[i] + self.body[i] >= wanted)
        return 0.055 * (i + (wanted - before[i]) / self.body[i])

    def quantiles(self):
        self.mid = self.quantile(0.5)
        part = self.trusted / (self.trusted + 30000)
        fast, slow = (max(self.quantile(q) - self.mid, 0.05) for q in (0.95, 0.985))
        self.fast_span = 0.4 ** (1 - part) * fast**part
        self.slow_span = 0.4 ** (1 - part) * slow**part

    def row(self, x):
        self.memory = max(x, self.memory + 0.01 * (x - self.memory))
        if self.rows % 16 == 0:
            self.quantiles()
        self.rows += 1
        e = (x - self.mid) / self.slow_span
        self.gathered = 0.97 * self.gathered + min(e - 1.1, 4) if e > 1.1 else 0.5 * self.gathered
        levels = ((x - self.mid) / self.fast_span, 1 + self.gathered if e > 1.1 else 0)
        rows = max(self.trusted, 1)
        pairs = list(zip(self.tracks, levels, strict=True))
        nominal = 8640 / rows * min(track.expected(level, rows) for track, level in pairs)
        self.settle(x, nominal)
        for track, level in pairs:
            self.follow(track, level, nominal)
        if self.rows % 64 == 0:
            self.trusted *= 1 - 64 / 17000
            self.informed *= 1 - 64 / 17000
            for track in self.tracks:
                track.peaks *= 1 - 64 / 17000
                track.refresh()
        if not self.open_rows:
            self.add(x, 0.3 if nominal < 5 else 1.0)
            self.trusted += 1
            self.informed += 0.1 if x < 0.02 else 1
        return (x + self.memory) / 2, at_age(fleet(nominal), self.informed)

    def settle(self, x, nominal):
        if nominal <= 0.3:
            self.quiet = 0
            if not self.open_rows:
                self.open_rows, self.recent = 1, []
        elif self.open_rows:
            self.quiet += 1
            if self.quiet >= 20:
                self.open_rows = 0
        if self.open_rows:
            self.open_rows += 1
            self.recent.append(x)
            if self.open_rows > 400:
                self.open_rows = 0
                self.new_regime()
        if self.old is not None:
            self.returning = max(self.returning + (1 if x <= self.old[1] else -1), 0)
            if self.returning >= 60:
                self.body, self.old, self.gathered = self.old[0], None, 0.0
                self.quantiles()

    def new_regime(self):
        if self.old is None:
            self.old, self.returning = (self.body, self.quantile(0.95)), 0
        self.body, self.gathered = np.zeros(96), 0.0
        for x in self.recent[-125:]:
            self.add(x, 1)
        self.quantiles()

    def follow(self, track, level, nominal):
        if level > 1:
            if track.below is None:
                track.top, track.lowest = level, nominal
            track.top, track.lowest = max(track.top, level), min(track.lowest, nominal)
            track.below = 0
        elif track.below is not None:
            track.below += 1
            if track.below >= 8:
                weight = min(max(self.trusted / 8640, 0.1), 1) if track.lowest < 0.3 else 1
                track.peaks[min(int(math.log(track.top) / 0.065), 63)] += weight
                track.below = None


def fleet(nominal):
    points = [(math.exp(at), to) for at, to in zip(FROM, (0.1, 1, 10, 19), strict=True)]
    k = sum(nominal >= at for at, _ in points[1:3])
    (a, b), (c, d) = points[k : k + 2]
    return math.exp(math.log(b) + math.log(nominal / a) * math.log(d / b) / math.log(c / a))


def at_age(rate, informed):
    """Rare rates of a young sensor are not as rare as they look."""
    known = (informed / 250) ** 2
    return rate if rate >= 10 else 10 * (rate / 10) ** (known / (1 + known))


def sensor(channels, rows, seed):
    """Autocorrelated channels with an event, missing cells and, beyond two, a switch."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(rows, channels))
    values = noise.copy()
    for t in range(1, rows):
        values[t] = 0.8 * values[t - 1] + noise[t]
    values[700:730, 0] += 12
    if channels > 2:
        values[:, -1] = np.cumsum(rng.random(rows) < 0.02) % 2
    values[rng.random(values.shape) < 0.03] = np.nan
    return values


def unseen(shape, history, measured):
    """Evidence of the later half of a history under a model of the earlier half."""
    half = len(history) // 2
    block, flags = np.zeros(shape.model_bytes, np.uint8), measured.astype(np.float32)
    learning._fit_usual(shape, StreamingSettings(), block, history[:half], flags)
    model = SlowModel(shape, block)
    return [model.row(row, measured)[0] for row in history[half:]]


@pytest.mark.parametrize("channels", [1, 2, 5])
def test_rows_follow_the_description(channels):
    values = sensor(channels, 1400, seed=channels)
    history, live = values[:500], values[500:]
    shape = kernels.layout(channels)
    model = np.zeros(shape.model_bytes, np.uint8)
    core = np.zeros(shape.core_bytes, np.uint8)
    learning.fit_prefix(shape, StreamingSettings(), model, core, history)
    pool = StreamingPool(channels)
    slots = pool.add()
    pool.prime(0, np.arange(500), history)
    told = pool.score(np.zeros(len(live), np.int32), np.arange(len(live)), live)

    measured = [len(set(column[np.isfinite(column)])) > 2 for column in history.T]
    slow, stage = SlowModel(shape, model), SlowStage(unseen(shape, history, np.array(measured)))
    expected = [slow.row(row, np.array(measured)) for row in live]
    score, rate = np.array([stage.row(x) for x, _ in expected]).T
    assert pool.fitted(slots).all()
    np.testing.assert_allclose(told.forecast, [f for _, f in expected], rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(told.score, score, rtol=2e-3, atol=2e-3)
    np.testing.assert_allclose(np.log(told.rate), np.log(rate), atol=0.05)


def test_a_switch_makes_two_views():
    values = sensor(5, 600, seed=9)
    shape = kernels.layout(5)
    core = np.zeros(shape.core_bytes, np.uint8)
    assert kernels.levels(shape, core, values).tolist() == [1, 1, 1, 1, 0]


def test_a_permanent_change_becomes_normal_and_the_old_regime_comes_back():
    rng = np.random.default_rng(3)
    evidence = np.abs(rng.normal(0.2, 0.1, 3000)).astype(np.float32)
    evidence[1500:2200] += 2
    core = np.zeros(kernels.layout(1).core_bytes, np.uint8)
    kernels.replay(core, evidence)
    stage = SlowStage(evidence.astype(float))
    body = np.frombuffer(core, np.float32, 96)
    assert stage.old is None
    np.testing.assert_allclose(body / body.sum(), stage.body / stage.body.sum(), atol=0.01)
