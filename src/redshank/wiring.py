"""The composition root: the only file that names concrete adapters."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from redshank.adapters.bus.memory import MemoryBus
from redshank.adapters.sources.opensensemap import OpenSenseMap, OpenSenseMapClient
from redshank.adapters.sources.replay import FileReplay, demo_source
from redshank.adapters.sources.simulator import Simulator, write
from redshank.adapters.store.sqlite import SqliteStore, health
from redshank.core.clock import DAY, Clock, SystemClock
from redshank.core.config import Config
from redshank.core.ports import AlertChannel, Bus, Receipt, Source, Store
from redshank.core.queries import Sensors
from redshank.core.records import SensorInfo
from redshank.core.telemetry import Telemetry, make_logger
from redshank.pipeline import budget as budgets
from redshank.pipeline.pipeline import Pipeline
from redshank.pipeline.runner import Runner
from redshank.services.context import Context, FetchBoxes
from redshank.services.ingest import Ingest, add, deliver
from redshank.services.ingest_report import BoxReport
from redshank.services.notify import Notifier

if TYPE_CHECKING:
    from collections.abc import Iterator

STORE_NAME = "redshank.sqlite"
"""The store's file in the data folder."""


@dataclass(frozen=True, slots=True)
class Service:
    """A running redshank without its network side.

    Attributes:
        context: what the roles share.
        ingests: the sources, not started yet.
    """

    context: Context
    ingests: list[Ingest]


def store_path(config: Config) -> Path:
    """Where the store lies."""
    return config.data_dir / STORE_NAME


@contextmanager
def open_store(config: Config, in_memory: bool = False) -> Iterator[Store]:
    """The store of a configuration, migrated and ready; closed at the end."""
    retention = None if config.retention_days is None else config.retention_days * DAY
    store = SqliteStore(None if in_memory else store_path(config), retention)
    try:
        yield store
    finally:
        store.close()


@asynccontextmanager
async def open_service(
    config: Config,
    sources: Sequence[Source] = (),
    alerts: Sequence[AlertChannel] = (),
    clock: Clock | None = None,
    in_memory: bool = False,
) -> AsyncIterator[Service]:
    """Everything in one process, in order: open, run; then drain, commit and close."""
    clock = clock or SystemClock()
    telemetry = Telemetry(make_logger(config.log_level, config.log_format))
    with open_store(config, in_memory) as store:
        bus = MemoryBus(config.queue_readings)
        telemetry.queue_readings.set_function(lambda: bus.waiting)
        describe = partial(described, store)
        pipeline = Pipeline(budgets.load(store, config.alarm_budget), describe, config.min_effect)
        runner = Runner(bus, store, pipeline, clock, telemetry, config.commit_readings)
        if alerts:
            runner.listen(Notifier(alerts, describe))
        fetch = _fetcher(config, bus, sources)
        context = Context(config, clock, store, bus, runner, telemetry, fetch)
        runner.start()
        try:
            yield Service(context, [Ingest(context, source) for source in sources])
        finally:
            runner.stop()


def migrate_store(config: Config) -> list[str]:
    """Bring the store's layout up to date; names of the migrations that were missing."""
    store = SqliteStore(store_path(config))
    store.close()
    return store.migrated


def check_store(config: Config) -> str | None:
    """What is wrong with the store's file, whether or not a redshank uses it; None if nothing."""
    return health.problem(store_path(config))


def file_sources(paths: Sequence[Path], speed: float | None = None) -> list[Source]:
    """The replay of files or folders, whose cursor belongs to exactly these."""
    which = "\n".join(sorted(str(path.resolve()) for path in paths))
    name = f"replay {paths[0].name} {hashlib.sha256(which.encode()).hexdigest()[:8]}"
    return [FileReplay(paths, name=name, speed=speed)]


def demo_sources() -> list[Source]:
    """The bundled week of real readings, up to now and then live."""
    return [demo_source()]


def box_sources(config: Config) -> list[Source]:
    """The openSenseMap boxes of a configuration, live."""
    if not config.opensensemap_boxes:
        return []
    pause = config.opensensemap_poll_seconds
    return [OpenSenseMap(config.opensensemap_boxes, _client(config), poll_seconds=pause)]


def simulator(preset: str, **how: Any) -> Simulator:
    """A simulated fleet; see :class:`Simulator` for what can be said about it."""
    return Simulator(preset, **how)


def write_simulated(fleet: Simulator, path: Path) -> tuple[int, int]:
    """Write all rows of a fleet and its labels; numbers of rows and of faults."""
    simulated = fleet.simulate()
    write(simulated, path)
    return len(simulated.batch), len(simulated.labels)


def described(store: Store, sensor_id: str) -> SensorInfo:
    """What is registered of a sensor; the bare id if nothing is."""
    found = store.read(Sensors(sensor_ids=[sensor_id], limit=1))
    return found[0].info if found else SensorInfo(sensor_id)


def _client(config: Config) -> OpenSenseMapClient:
    return OpenSenseMapClient(config.opensensemap_url, contact=config.opensensemap_contact)


def _fetcher(config: Config, bus: Bus, sources: Sequence[Source]) -> FetchBoxes:
    """Fetching on demand: same client, bus and pipeline as the live boxes, where there are any."""
    live = next((source for source in sources if isinstance(source, OpenSenseMap)), None)

    async def fetch(
        box_ids: Sequence[str], phenomena: Sequence[str], since: int | None
    ) -> list[BoxReport]:
        boxes = tuple(box_ids) or config.opensensemap_boxes
        if live:
            return [await _fetched(bus, live, box, phenomena, since) for box in boxes]
        async with aclosing(_client(config)) as client:
            source = OpenSenseMap(boxes, client)
            return [await _fetched(bus, source, box, phenomena, since) for box in boxes]

    return fetch


async def _fetched(
    bus: Bus, source: OpenSenseMap, box_id: str, phenomena: Sequence[str], since: int | None
) -> BoxReport:
    """Fetch one box, store and score what it brought."""
    box = await source.fetch_box(box_id, since, None, phenomena)
    total = Receipt()
    for parcel in box.parcels:
        total = add(total, await deliver(bus, parcel, source.name))
    return BoxReport(
        box.box_id,
        box.name,
        box.read,
        total.stored,
        total.duplicates,
        total.conflicts,
        total.flagged,
        total.anomalies,
        tuple(box.unmapped),
        box.error,
    )
