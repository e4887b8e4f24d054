"""The one writer: takes parcels from the bus, scores them, writes them, then acknowledges.

Commit order, for every group of parcels:

1. poll the bus
2. tell new readings from repeated ones, take their sensors into memory
3. run the pipeline
4. write readings, verdicts, incidents, dead letters, checkpoints and cursors in one transaction
5. tell the listeners
6. acknowledge the senders

If the process dies before 4, nothing of the group was acknowledged and senders send it again; if it
dies after 4, repeated readings are recognised by their key. State in memory may run ahead of the
store only within a group: if the write fails, all sensors are dropped from memory and come back
from the store as they report.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import replace
from itertools import compress
from typing import Any, TypeVar

import numpy as np

from redshank.core.batch import Batch
from redshank.core.channels import quantity
from redshank.core.clock import HOUR, SECOND, Clock
from redshank.core.errors import StoreError
from redshank.core.ports import Bus, Commit, Listener, Message, Parcel, Receipt, Store
from redshank.core.queries import Incidents, RecoverSensors, Sensors, Setting
from redshank.core.records import (
    ChannelInfo,
    Feedback,
    Flag,
    SensorInfo,
    SensorStatus,
    Status,
    Verdicts,
)
from redshank.core.registry import Edit, completed
from redshank.core.telemetry import Telemetry
from redshank.pipeline import accepted, ageing, amend, sharing
from redshank.pipeline import budget as budgets
from redshank.pipeline.ageing import Ageing
from redshank.pipeline.budget import Budget
from redshank.pipeline.intake import fresh, gather
from redshank.pipeline.lapses import Clocks
from redshank.pipeline.neighbours import Neighbours
from redshank.pipeline.pipeline import Outcome, Pipeline
from redshank.pipeline.receipts import write_receipts
from redshank.pipeline.returns import Returns
from redshank.pipeline.rhythm import Rhythms

T = TypeVar("T")

IDLE_SECONDS = 0.5
MAINTENANCE_SECONDS = 10.0
WAKE = 100
"""Stored sensors that are taken into memory at once while nothing waits."""


class Runner:
    """Owns the pipeline and the store's only writer, in one thread.

    Args:
        bus: where parcels come from.
        store: where everything goes.
        pipeline: detection.
        clock: wall clock.
        telemetry: logs and metrics.
        commit_readings: most readings of one commit.
    """

    def __init__(
        self,
        bus: Bus,
        store: Store,
        pipeline: Pipeline,
        clock: Clock,
        telemetry: Telemetry,
        commit_readings: int = 10_000,
    ) -> None:
        self._bus = bus
        self._store = store
        self._pipeline = pipeline
        self._clock = clock
        self._telemetry = telemetry
        self._limit = commit_readings
        self._listeners: list[Listener] = []
        self._stopping = False
        self._tasks: deque[Callable[[], None]] = deque()
        self._thread = threading.Thread(target=self._loop, name="redshank-runner", daemon=True)
        self._maintained = clock.monotonic()
        self._untidy = False
        open_now = store.read(Incidents(state="open", limit=1_000_000))
        self._rhythms = Rhythms(pipeline, clock.now(), open_now)
        self._clocks = Clocks(pipeline.describe, open_now)
        self._asleep, self._woken = True, 0
        self._neighbours = Neighbours(store)
        self._shared_for = (0, 0)
        self._returns = Returns(store)
        self._ageing = Ageing(store, pipeline, self._neighbours)
        self._late: dict[str, int] = store.read(Setting(amend.SETTING)) or {}

    # --- life ---

    def start(self) -> None:
        """Begin to work."""
        self._thread.start()

    def stop(self) -> None:
        """Take no more, finish what is queued, then stop."""
        self._stopping = True
        self._bus.close()
        if self._thread.is_alive():
            self._thread.join()

    def alive(self) -> bool:
        """Whether it is working."""
        return self._thread.is_alive()

    # --- for others; any thread ---

    @property
    def budget(self) -> Budget:
        """The alarm budget in force."""
        return self._pipeline.budget

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Call ``listener`` after each commit, in the runner's thread; returns how to stop that."""
        self._listeners.append(listener)

        def unlisten() -> None:
            with suppress(ValueError):
                self._listeners.remove(listener)

        return unlisten

    def predict(self, batches: Sequence[Batch]) -> Future[list[Verdicts]]:
        """Verdicts on rows as if they came now; nothing is stored or learned."""

        def ask() -> list[Verdicts]:
            self._adopt(self._pipeline.unknown(batches), only_known=True)
            return self._pipeline.predict(batches, self._clock.now())

        return self._ask(ask)

    def write(self, commit: Commit) -> Future[None]:
        """Write an edit (marks, comments, settings, sensors)."""

        def ask() -> None:
            gone = {
                name(sensor_id): None
                for sensor_id in commit.sensors_removed
                for name in (accepted.setting, ageing.setting)
            }
            self._store.write(replace(commit, settings={**commit.settings, **gone}))
            self._pipeline.forget(commit.sensors_removed)
            self._ageing.forget(commit.sensors_removed)
            self._tell(commit)

        return self._ask(ask)

    def mark(self, incident_id: str, feedback: Feedback | None) -> Future[None]:
        """Mark an incident; a lasting change that is expected becomes the new normal at once."""

        def ask() -> None:
            commit = Commit(marks={incident_id: feedback})
            for incident in self._store.read(Incidents(ids=[incident_id], limit=1)):
                self._adopt(self._pipeline.asleep([incident.sensor_id]))
                expected = feedback == "expected"
                told = accepted.marked(self._store, self._pipeline, incident, expected)
                commit = replace(told, marks=commit.marks)
            self._store.write(commit)
            self._tell(commit)

        return self._ask(ask)

    def set_budget(
        self, per_sensor_month: float | None = None, per_fleet_day: float | None = None
    ) -> Future[Budget]:
        """Change the alarm budget, for the last 30 days too; the budget that is in force then.

        Sensors with a budget of their own keep it, as it stands by the time of the change.

        Args:
            per_sensor_month: for each sensor and 30 days; or
            per_fleet_day: for all of them together and a day, shared out anew as they come and go.
        """

        def ask() -> Budget:
            budget = replace(self.budget, per_fleet_day=per_fleet_day)
            if per_sensor_month is not None:
                budget = replace(budget, per_sensor_month=per_sensor_month)
            budget = sharing.shared_out(self._store, budget)
            commit = self._rebudgeted(budget)
            self._store.write(commit)
            self._tell(commit)
            return budget

        return self._ask(ask)

    def edit_sensors(self, edits: Mapping[str, Edit]) -> Future[list[SensorInfo]]:
        """Change what is registered of sensors, each from its record as it stands by then.

        All or nothing: if one edit raises, none is written. The records after it.
        """

        def ask() -> list[SensorInfo]:
            known = {status.info.sensor_id: status.info for status in self._stored(list(edits))}
            edited = [edit(known.get(sensor_id)) for sensor_id, edit in edits.items()]
            infos = [info for info in edited if info is not None]
            budget = sharing.shared_out(self._store, self.budget.with_own(infos))
            commit = Commit() if budget == self.budget else self._rebudgeted(budget)
            commit = replace(commit, sensors=infos)
            self._store.write(commit)
            for info in infos:
                self._pipeline.bound(info)
                self._pipeline.place(info)
            self._tell(commit)
            return infos

        return self._ask(ask)

    def describe(self) -> Mapping[str, Any]:
        """The model in service, for ``/model/info``."""
        return self._pipeline.model_info()

    def _rebudgeted(self, budget: Budget) -> Commit:
        """What another alarm budget changes."""
        rebuilt = budgets.rebuild(self._store, budget, self._pipeline.describe)
        return Commit(
            incidents=self._neighbours.remembered(rebuilt.incidents),
            incidents_removed=rebuilt.removed,
            checkpoints=self._pipeline.rebudget(budget, rebuilt),
            settings={budgets.SETTING: budget.to_setting()},
        )

    def _ask(self, question: Callable[[], T]) -> Future[T]:
        """Have the runner's thread answer between two groups."""
        answer: Future[T] = Future()

        def task() -> None:
            if not answer.set_running_or_notify_cancel():
                return
            before = self._pipeline.budget
            try:
                answer.set_result(question())
            except Exception as error:  # noqa: BLE001  the asker gets it
                if isinstance(error, StoreError):  # memory may be ahead of what is stored
                    self._pipeline.budget = before
                    self._pipeline.clear()
                answer.set_exception(error)

        self._tasks.append(task)
        try:
            self._bus.publish(Parcel(), "")
        except StoreError as error:
            answer.set_exception(error)
        return answer

    # --- the thread ---

    def _loop(self) -> None:
        while True:
            messages = self._bus.poll(self._limit, 0.0 if self._untidy else IDLE_SECONDS)
            while self._tasks:
                self._tasks.popleft()()
            loads = [message for message in messages if message.source]
            if loads:
                self._work(loads)
            elif not messages and self._stopping:
                self._last_checkpoints()
                return
            self._maintain(idle=not messages)

    def _last_checkpoints(self) -> None:
        """Write what has changed since each sensor's checkpoint: the next start replays nothing."""
        try:
            for some in self._pipeline.unsaved():
                self._store.write(Commit(checkpoints=some))
        except StoreError as error:  # everything acknowledged is stored: a start replays it
            self._telemetry.log.warning("last checkpoints not written", error=str(error))

    def _work(self, messages: Sequence[Message]) -> None:
        """One group of parcels; whatever goes wrong, its senders learn of it and work goes on."""
        messages = _without_gaps(messages)
        if not messages:
            return
        # From here on nobody can take a parcel back; a sender that has gone already hears nothing.
        heard = [message.done.set_running_or_notify_cancel() for message in messages]
        try:
            receipts = self._commit(messages)
        except Exception as error:
            self._telemetry.failures_total.inc()
            self._telemetry.log.error("commit failed", error=str(error), exc_info=error)
            self._pipeline.clear()
            for message in compress(messages, heard):
                message.done.set_exception(error)
            return
        for message, receipt in compress(zip(messages, receipts, strict=True), heard):
            message.done.set_result(receipt)

    def _commit(self, messages: Sequence[Message]) -> list[Receipt]:
        parcels = [message.parcel for message in messages]
        gathered = gather(parcels)
        self._adopt(self._pipeline.unknown([load.batch for load in gathered]))
        news = [
            fresh(load.batch, self._pipeline.newest(load.batch), self._store) for load in gathered
        ]
        now = self._clock.now()
        clocks = self._clocks.arrived(
            [load.batch for load in gathered], now, self._pipeline.budget.for_sensor
        )
        readings = [new.batch for new in news if len(new.batch)]
        late = self._late
        for new in news:
            late = amend.merged(late, new.late) if new.late else late
        with self._telemetry.pipeline_seconds.time():
            outcome = self._pipeline.run(readings, now)
        commit = Commit(
            readings=readings,
            verdicts=outcome.verdicts,
            incidents=[*outcome.incidents, *clocks],
            sensors=self._registered(parcels, outcome),
            dead_letters=[letter for parcel in parcels for letter in parcel.dead_letters],
            dead_letters_removed=[key for parcel in parcels for key in parcel.dead_letters_removed],
            dead_letter_reasons={
                key: reason
                for parcel in parcels
                for key, reason in parcel.dead_letter_reasons.items()
            },
            checkpoints=self._pipeline.due(),
            cursors={m.source: m.parcel.cursor for m in messages if m.parcel.cursor is not None},
            settings={amend.SETTING: late} if late != self._late else {},
        )
        commit = self._returns.complete(self._neighbours.complete(commit))
        with self._telemetry.commit_seconds.time():
            self._store.write(commit)
        for info in commit.sensors:
            self._pipeline.place(info)
        self._late, self._untidy = late, self._untidy or bool(late)
        receipts = write_receipts(len(messages), gathered, news, outcome.verdicts)
        self._count(messages, receipts, commit, outcome)
        self._tell(commit)
        return receipts

    def _amend(self) -> None:
        """Score the late readings of one sensor in their place."""
        sensor_id, since = next(iter(self._late.items()))
        left = {key: time for key, time in self._late.items() if key != sensor_id}
        self._adopt(self._pipeline.asleep([sensor_id]))
        commit = amend.amend(self._store, self._pipeline, sensor_id, since, self._clock.now())
        commit = replace(commit, settings={amend.SETTING: left or None})
        commit = self._returns.complete(self._neighbours.complete(commit))
        self._store.write(commit)
        self._late = left
        self._telemetry.amended_total.inc()
        self._tell(commit)

    def _adopt(self, sensor_ids: Sequence[str], only_known: bool = False) -> None:
        """Take sensors into memory: from where the store left them, else (if wanted) as new."""
        if not sensor_ids:
            return
        recoveries = self._store.read(RecoverSensors(sensor_ids))
        infos = {status.info.sensor_id: status.info for status in self._stored(sensor_ids)}
        for sensor_id in sensor_ids:
            recovery = recoveries.get(sensor_id)
            if recovery is None and only_known:
                continue
            try:
                self._pipeline.adopt(sensor_id, recovery, infos.get(sensor_id))
            except ValueError as error:
                self._telemetry.log.warning(
                    "checkpoint cannot be used, learning again",
                    sensor_id=sensor_id,
                    reason=str(error),
                )
                newest = recovery.newest if recovery else None
                known = accepted.load(self._store, sensor_id)
                if sensor_id in infos:
                    self._pipeline.place(infos[sensor_id])
                accepted.relearn(self._store, self._pipeline, sensor_id, newest, known)
        for info in infos.values():
            self._pipeline.bound(info)

    def _registered(self, parcels: Sequence[Parcel], outcome: Outcome) -> list[SensorInfo]:
        """Sensors to write: those that a source told of, and those with new channels."""
        told = {info.sensor_id: info for parcel in parcels for info in parcel.sensors}
        wanted = list(told.keys() | outcome.channels.keys())
        known = {status.info.sensor_id: status.info for status in self._stored(wanted)}
        for sensor_id in wanted:
            stored = known.get(sensor_id, SensorInfo(sensor_id))
            told[sensor_id] = completed(told[sensor_id], stored) if sensor_id in told else stored
        return [
            with_channels(info, outcome.channels.get(sensor_id, ()))
            for sensor_id, info in told.items()
        ]

    def _stored(self, sensor_ids: Sequence[str]) -> Sequence[SensorStatus]:
        if not sensor_ids:
            return ()
        return self._store.read(Sensors(sensor_ids=sensor_ids, limit=len(sensor_ids)))

    def _tell(self, commit: Commit) -> None:
        for listener in tuple(self._listeners):
            listener(commit)

    def _count(
        self,
        messages: Sequence[Message],
        receipts: Sequence[Receipt],
        commit: Commit,
        outcome: Outcome,
    ) -> None:
        telemetry = self._telemetry
        for message, receipt in zip(messages, receipts, strict=True):
            telemetry.readings_total.labels(message.source).inc(receipt.stored)
            telemetry.duplicates_total.inc(receipt.duplicates)
            telemetry.conflicts_total.inc(receipt.conflicts)
            if message.parcel.dead_letters:
                count = len(message.parcel.dead_letters)
                telemetry.dead_letters_total.labels(message.source).inc(count)
            telemetry.replayed_total.inc(len(message.parcel.dead_letters_removed))
        for rows in outcome.verdicts:
            counts = np.bincount(rows.status, minlength=len(Status))
            for status in Status:
                telemetry.verdicts_total.labels(status.name.lower()).inc(int(counts[status]))
            for flag in Flag:
                count = int(np.count_nonzero(rows.flags & np.uint16(flag)))
                telemetry.flags_total.labels(str(flag.name).lower()).inc(count)
        for rows in commit.verdicts:
            count = int(np.count_nonzero(rows.flags & np.uint16(Flag.DISAGREES)))
            telemetry.flags_total.labels("disagrees").inc(count)
        for incident in commit.incidents:
            telemetry.incidents_total.labels(incident.state).inc()
        newest = max((int(batch.time.max()) for batch in commit.readings), default=0)
        if newest:
            telemetry.newest_reading.set(newest / SECOND)
        telemetry.sensors.set(len(self._pipeline))

    def _maintain(self, idle: bool) -> None:
        """What is not urgent: as much as there is while nothing waits, a little under load."""
        due = self._clock.monotonic() - self._maintained >= MAINTENANCE_SECONDS
        if not due and not (idle and self._untidy):
            return
        if due:
            self._maintained = self._clock.monotonic()
        try:
            if self._late:
                self._amend()
            if due:
                self._look_at_rhythms()
                self._judge_again()
                self._share_out()
            aged = self._look_for_drift()
            woken = self._wake() if idle and self._asleep else False
            more = self._store.maintain(self._clock.now())
            self._untidy = more or woken or aged or bool(self._late)
        except Exception as error:
            self._untidy = False
            self._telemetry.failures_total.inc()
            self._telemetry.log.error("house-keeping failed", error=str(error), exc_info=error)
            self._pipeline.clear()

    def _wake(self) -> bool:
        """After a start: take some more of the stored sensors into memory, so that one that never
        reports again is missed; whether there are more."""
        known = self._store.read(Sensors(limit=WAKE, offset=self._woken))
        self._woken += len(known)
        self._adopt(self._pipeline.asleep([status.info.sensor_id for status in known]))
        self._asleep = len(known) == WAKE
        return self._asleep

    def _share_out(self) -> None:
        """Sensors that came or went change everybody's share of a fleet budget, from now on."""
        state = len(self._pipeline), self._clock.now() // HOUR
        if state == self._shared_for:
            return
        self._shared_for = state
        budget = sharing.shared_out(self._store, self.budget)
        if budget != self.budget:
            commit = Commit(settings={budgets.SETTING: budget.to_setting()})
            self._store.write(commit)
            self._pipeline.share_out(budget)
            self._tell(commit)

    def _look_at_rhythms(self) -> None:
        incidents = self._rhythms.look(self._clock.now())
        if incidents:
            self._write_found(Commit(incidents=incidents))

    def _judge_again(self) -> None:
        commit = self._neighbours.again()
        if commit.incidents or commit.verdicts:
            self._store.write(commit)
            self._tell(commit)

    def _look_for_drift(self) -> bool:
        """Look at the sensors whose week is over, some at a time; whether there were any."""
        commit = self._ageing.look()
        if commit is None:
            return False
        self._write_found(commit)
        self._ageing.looked(commit)
        return True

    def _write_found(self, commit: Commit) -> None:
        self._store.write(commit)
        for incident in commit.incidents:
            self._telemetry.incidents_total.labels(incident.state).inc()
        self._tell(commit)


def _without_gaps(messages: Sequence[Message]) -> list[Message]:
    """The messages but those behind one that was not stored; these are told so."""
    kept = []
    for message in messages:
        before = message.after
        if before is not None and before.done() and (before.cancelled() or before.exception()):
            if message.done.set_running_or_notify_cancel():
                message.done.set_exception(StoreError("what came before it was not stored"))
        else:
            kept.append(message)
    return kept


def with_channels(info: SensorInfo, channels: Sequence[str]) -> SensorInfo:
    """The record with all of these channels in it."""
    missing = {
        name: ChannelInfo(name, known.unit if (known := quantity(name)) else "")
        for name in channels
        if name not in info.channels
    }
    return replace(info, channels={**info.channels, **missing}) if missing else info
