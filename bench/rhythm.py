"""False incidents of the reporting rhythm, and what it finds, on sensors that report irregularly.

    python bench/rhythm.py [--months 4] [--sensors 16] [--boxes FOLDER] [--json]

Every kind of cadence runs from its first reading on, at a budget of 3 false alarms per sensor and
30 days, of which rhythm may spend .45. Silence, stutter and unusual hours are looked at before each
reading, so that every pause counts with its whole length. FOLDER holds openSenseMap readings as
Parquet with a column ``createdAt``; whole days of them are strung together in random order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from common import facts, options, show
from redshank.core.batch import Times
from redshank.core.clock import DAY, HOUR, MINUTE, SECOND
from redshank.core.zones import zone
from redshank.detect.cadence import Cadence
from redshank.pipeline.rhythm import ODD_SHARE, SILENCE_SHARE, STUTTER_SHARE

BUDGET = 3.0
START = 1_709_510_400 * SECOND  # Monday 4 March 2024
BERLIN = zone("Europe/Berlin")
KINDS = ("silence", "stutter", "odd")
SHARES = dict(zip(KINDS, (SILENCE_SHARE, STUTTER_SHARE, ODD_SHARE), strict=True))
TICK = 10 * MINUTE
Make = Callable[[np.random.Generator, int], Times]


def regular(seconds: float, jitter: float = 0.02, lost: float = 0.02) -> Make:
    """Steady intervals with some jitter; some rows are lost."""

    def make(rng: np.random.Generator, days: int) -> Times:
        count = int(days * 86_400 / seconds)
        time = (np.arange(count) + rng.normal(0, jitter, count)) * seconds
        return _times(time[rng.random(count) >= lost])

    return make


def poisson(seconds: float) -> Make:
    """Arrivals at random."""

    def make(rng: np.random.Generator, days: int) -> Times:
        return _times(np.cumsum(rng.exponential(seconds, int(days * 86_400 / seconds))))

    return make


def heavy(seconds: float) -> Make:
    """Log-normal intervals, a few of them a hundred times as long as most."""

    def make(rng: np.random.Generator, days: int) -> Times:
        time = np.cumsum(rng.lognormal(np.log(seconds), 1.2, int(days * 86_400 / seconds)))
        return _times(time[time < days * 86_400])

    return make


def bad_link(seconds: float) -> Make:
    """A link that is good or bad by turns of hours; when bad, every second reading is lost."""

    def make(rng: np.random.Generator, days: int) -> Times:
        time = _regular(seconds, days)
        turns = np.cumsum(rng.exponential(6 * 3600, days * 8))
        bad = np.searchsorted(turns, time) % 2 == 1
        return _times(time[rng.random(len(time)) >= np.where(bad, 0.5, 0.02)])

    return make


def evening_rush(seconds: float) -> Make:
    """Two fifths of the readings are lost from 18 to 21 o'clock."""

    def make(rng: np.random.Generator, days: int) -> Times:
        time = _regular(seconds, days)
        hour = time / 3600 % 24
        bad = (hour >= 18) & (hour < 21)
        return _times(time[rng.random(len(time)) >= np.where(bad, 0.4, 0.02)])

    return make


def hourly_gap(seconds: float) -> Make:
    """Five minutes of pause every hour."""

    def make(rng: np.random.Generator, days: int) -> Times:
        time = _regular(seconds, days) + rng.normal(0, 0.02 * seconds, int(days * 86_400 / seconds))
        return _times(time[time % 3600 > 300])

    return make


def bursts(seconds: float) -> Make:
    """Ten readings at once, then a pause."""

    def make(rng: np.random.Generator, days: int) -> Times:
        starts = np.arange(0.0, days * 86_400, 10 * seconds)
        starts += rng.normal(0, 0.3 * seconds, len(starts))
        return _times((starts[:, None] + np.arange(10) * 0.1 * seconds).ravel())

    return make


def outages(seconds: float) -> Make:
    """A good link with three outages of half an hour to two days a month."""

    def make(rng: np.random.Generator, days: int) -> Times:
        time = _regular(seconds, days)
        keep = rng.random(len(time)) >= 0.01
        for start in rng.uniform(0, days * 86_400, max(1, days // 10)):
            keep &= ~((time > start) & (time < start + np.exp(rng.uniform(7.5, 12))))
        return _times(time[keep])

    return make


def office(seconds: float, first: float = 7.5, last: float = 18.0) -> Make:
    """Switched on on workdays only, at about the same time, on Berlin's clocks."""

    def make(rng: np.random.Generator, days: int) -> Times:
        time = _regular(seconds, days)
        local = time + BERLIN.offsets(START + (time * SECOND).astype(np.int64)) / SECOND
        day, hour = (local // 86_400).astype(int), local / 3600 % 24
        on = rng.normal(first, 0.3, days + 2)[day]
        off = rng.normal(last, 0.5, days + 2)[day]
        keep = (hour >= on) & (hour < off) & (day % 7 < 5)
        return _times(time[keep & (rng.random(len(time)) >= 0.01)])

    return make


def nights_off(seconds: float) -> Make:
    """Solar powered: off from 21 to 6 o'clock or so."""

    def make(rng: np.random.Generator, days: int) -> Times:
        time = _regular(seconds, days)
        local = time + BERLIN.offsets(START + (time * SECOND).astype(np.int64)) / SECOND
        day, hour = (local // 86_400).astype(int), local / 3600 % 24
        on, off = rng.normal(6, 0.4, days + 2)[day], rng.normal(21, 0.4, days + 2)[day]
        return _times(time[(hour >= on) & (hour < off) & (rng.random(len(time)) >= 0.01)])

    return make


def box(path: Path) -> Make:
    """Days of a real box, strung together."""
    import pyarrow.parquet as parquet

    texts = parquet.read_table(path, columns=["createdAt"]).column(0).to_numpy()
    stamps = np.unique(np.array([text[:-1] for text in np.unique(texts)], "datetime64[us]"))
    time = stamps.astype(np.int64)
    parts = np.split(time, np.flatnonzero(np.diff(time // DAY)) + 1)

    def make(rng: np.random.Generator, days: int) -> Times:
        chosen = rng.integers(0, len(parts), days)
        whole = [parts[which] % DAY + k * DAY for k, which in enumerate(chosen)]
        return START + np.concatenate(whole)

    return make


class Watch:
    """Sensors side by side, each from its first reading on."""

    def __init__(self, count: int) -> None:
        self.cadence = Cadence()
        self.cadence.sensors.reserve(count)
        self.opened: dict[str, list[tuple[int, int]]] = {kind: [] for kind in KINDS}
        self._told = {kind: np.zeros(count, np.int64) for kind in KINDS}

    def look(self, sensors: np.ndarray, last: Times, now: Times) -> None:
        """Note the incidents that open, with event time and sensor."""
        slots, shift = sensors.astype(np.int32), BERLIN.offsets(now)
        seen = self.cadence.attendance(slots, last, now, shift)
        since = {"silence": last, "stutter": seen["since"], "odd": seen["odd_since"]}
        for kind in KINDS:
            alarm = seen[kind] / SHARES[kind] <= BUDGET
            new = alarm & (self._told[kind][sensors] != since[kind])
            self._told[kind][sensors[new]] = since[kind][new]
            self.opened[kind] += zip(now[new].tolist(), sensors[new].tolist(), strict=True)

    def learn(self, sensors: np.ndarray, now: Times) -> None:
        """The next reading of each of these sensors."""
        self.cadence.run(sensors.astype(np.int32), now, BERLIN.offsets(now))


def watch(sensors: list[Times], ticks: int | None = None) -> Watch:
    """All sensors, a reading of each in every step.

    Args:
        sensors: times of the readings of each.
        ticks: from this time on, look between readings, too.
    """
    watched, longest = Watch(len(sensors)), max(map(len, sensors))
    times = np.full((longest, len(sensors)), -1, np.int64)
    for number, time in enumerate(sensors):
        times[: len(time), number] = time
    last = times[0]
    for now in times:
        here = np.flatnonzero(now >= 0)
        before, at = last[here], now[here]
        if ticks is not None and at.max() >= ticks:
            pause = int((at - before).max())
            for passed in range(TICK, pause, TICK):
                some = at - before > passed
                watched.look(here[some], before[some], before[some] + passed)
        watched.look(here, before, at)
        watched.learn(here, at)
        last = now
    return watched


def _regular(seconds: float, days: int) -> np.ndarray:
    return np.arange(int(days * 86_400 / seconds)) * seconds


def _times(seconds: np.ndarray) -> Times:
    return START + np.unique((np.sort(seconds) * SECOND).astype(np.int64))


def kinds(boxes: Path | None) -> Iterator[tuple[str, Make]]:
    """All kinds of cadence."""
    yield "every 60 s, 2 % lost", regular(60)
    yield "every 5 min, jitter .2", regular(300, 0.2)
    yield "every hour", regular(3600, 0.05)
    yield "Poisson, 2 min", poisson(120)
    yield "Poisson, 15 min", poisson(900)
    yield "log-normal, 2 min", heavy(120)
    yield "bad link by turns, 2 min", bad_link(120)
    yield "evening rush, 2 min", evening_rush(120)
    yield "5 min off every hour, 1 min", hourly_gap(60)
    yield "bursts of ten, 2 min", bursts(120)
    yield "outages, 2 min", outages(120)
    yield "workdays 7:30 to 18, 5 min", office(300)
    yield "nights off, 5 min", nights_off(300)
    for path in sorted(boxes.glob("*.parquet")) if boxes else ():
        yield path.stem, box(path)


def false_rates(make: Make, sensors: int, months: int) -> dict[str, float]:
    """Incidents per sensor and 30 days: by kind, then of the first month and of the others."""
    days = 30 * months
    found = watch([make(np.random.default_rng(k), days) for k in range(sensors)])
    first = START + 30 * DAY
    out = {kind: len(found.opened[kind]) / sensors / months for kind in KINDS}
    times = np.array([at for kind in KINDS for at, _ in found.opened[kind]], np.int64)
    out["first month"] = float((times < first).sum() / sensors)
    out["later"] = float((times >= first).sum() / sensors / max(months - 1, 1))
    return out


def thinned(make: Make, start: float, hours: float, kept: float) -> Make:
    """From a day on, for some hours, only a part of the readings comes."""

    def change(rng: np.random.Generator, days: int) -> Times:
        time = make(rng, days)
        begin = START + round(start * DAY)
        inside = (time >= begin) & (time < begin + round(hours * HOUR))
        return time[~inside | (rng.random(len(time)) < kept)]

    return change


def also(make: Make, start: float, hours: float, seconds: float) -> Make:
    """From a day on, for some hours, readings come that did not come before."""

    def change(rng: np.random.Generator, days: int) -> Times:
        begin = START + round(start * DAY)
        more = np.arange(begin, begin + round(hours * HOUR), round(seconds * SECOND))
        return np.unique(np.concatenate([make(rng, days), more]))

    return change


def bunched(make: Make, start: float, hours: float, minutes: float) -> Make:
    """From a day on, for some hours, readings come together at the end of every few minutes."""

    def change(rng: np.random.Generator, days: int) -> Times:
        time = make(rng, days)
        begin, size = START + round(start * DAY), round(minutes * MINUTE)
        inside = (time >= begin) & (time < begin + round(hours * HOUR))
        late = (time // size + 1) * size + (time % size) // 100
        return np.unique(np.where(inside, late, time))

    return change


def faults() -> Iterator[tuple[str, str, Make, float]]:
    """Name, kind, sensor, and from which day on it has a fault."""
    minute, workdays = regular(60), office(300)
    yield "60 s: 60 % lost for 4 h", "stutter", thinned(minute, 40.5, 4, 0.4), 40.5
    yield "60 s: 30 % lost for 12 h", "stutter", thinned(minute, 40.5, 12, 0.7), 40.5
    yield "60 s: in bunches of 10 min, for 4 h", "stutter", bunched(minute, 40.5, 4, 10), 40.5
    yield "5 min: 60 % lost for 12 h", "stutter", thinned(regular(300, 0.2), 40.5, 12, 0.4), 40.5
    yield "Poisson 2 min: 60 % lost for 12 h", "stutter", thinned(poisson(120), 40.5, 12, 0.4), 40.5
    yield "bad link: 85 % lost for 24 h", "stutter", thinned(bad_link(120), 40.5, 24, 0.2), 40.5
    yield "60 s: nothing for 24 h", "silence", thinned(minute, 40.5, 24, 0), 40.5
    yield "Poisson 2 min: nothing for 24 h", "silence", thinned(poisson(120), 40.5, 24, 0), 40.5
    yield "workdays: off from 10 o'clock on", "silence", thinned(workdays, 42.36, 15, 0), 42.36
    yield "nights off: off from noon on", "silence", thinned(nights_off(300), 42.42, 14, 0), 42.42
    yield "workdays: on at night for 3 h", "odd", also(workdays, 43.0, 3, 300), 43.0
    yield "workdays: on on a Sunday for 3 h", "odd", also(workdays, 48.4, 3, 300), 48.4


def detection(kind: str, make: Make, start: float, sensors: int, reach: float = 2.0) -> list[float]:
    """Hours from the fault to the incident, of those sensors on which it was found.

    A silence is looked at every ten minutes here, as wall-clock time moves it.
    """
    days = round(start + reach)
    made = [make(np.random.default_rng(k), days) for k in range(sensors)]
    found = watch(made, ticks=START + round(start * DAY) if kind == "silence" else None)
    begin = START + round(start * DAY)
    first: dict[int, int] = {}
    for at, sensor in found.opened[kind]:
        if at >= begin:
            first.setdefault(sensor, at)
    return [(at - begin) / HOUR for at in first.values()]


def main() -> None:
    """Run and print."""
    parser = options(__doc__)
    parser.add_argument("--months", type=int, default=4)
    parser.add_argument("--sensors", type=int, default=16)
    parser.add_argument("--boxes", type=Path)
    args = parser.parse_args()
    machine = facts()
    figures: dict[str, dict[str, float]] = {}
    for name, make in kinds(args.boxes):
        figures[name] = false_rates(make, args.sensors, args.months)
    heads = ["false incidents per sensor-month", *KINDS, "first month", "later"]
    rows = [[name, *(f"{x:.2f}" for x in rates.values())] for name, rates in figures.items()]
    show(args, "Irregular sensors without a fault", heads, rows, figures, machine)
    rows = []
    for name, kind, make, start in faults():
        hours = detection(kind, make, start, args.sensors)
        middle = f"{np.median(hours):.1f}" if hours else "-"
        rows.append([name, kind, f"{len(hours) / args.sensors:.2f}", middle])
    heads = ["fault", "as", "found", "after hours (median)"]
    show(args, "Faults on day 40", heads, rows, {"faults": rows}, machine)


if __name__ == "__main__":
    main()
