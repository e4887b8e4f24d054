"""The composition root: the only file that names concrete adapters."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from redshank.adapters.bus.memory import MemoryBus
from redshank.adapters.sources.mqtt import Broker, Mqtt, MqttLetters, listen
from redshank.adapters.sources.mqtt import Discovered as Discovered
from redshank.adapters.sources.mqtt import Proposal as Proposal
from redshank.adapters.sources.opensensemap import (
    Archive,
    History,
    Lists,
    OpenSenseMap,
    OpenSenseMapClient,
    OpenSenseMapLetters,
    find,
    followed,
    search,
)
from redshank.adapters.sources.opensensemap import Found as Found
from redshank.adapters.sources.opensensemap import described as described_box
from redshank.adapters.sources.replay import FileLetters, FileReplay, demo_source
from redshank.adapters.sources.simulator import Simulator, write
from redshank.adapters.store.sqlite import SqliteReader, SqliteStore, health
from redshank.core.clock import DAY, Clock, Instants, SystemClock
from redshank.core.config import Config
from redshank.core.letters import LetterReaders, ReadLetter
from redshank.core.ports import (
    AcknowledgedSource,
    AlertChannel,
    Bus,
    Parcel,
    Readable,
    Source,
    Store,
)
from redshank.core.queries import Cursor, Sensors
from redshank.core.records import SensorInfo
from redshank.core.telemetry import Telemetry, make_logger
from redshank.core.wide import WideTable, wide_table
from redshank.core.zones import Zones
from redshank.detect.alarm import Confirmation
from redshank.pipeline import budget as budgets
from redshank.pipeline.pipeline import Pipeline
from redshank.pipeline.runner import Runner
from redshank.services import posts
from redshank.services.context import Context, FetchBoxes
from redshank.services.fetch import collect_box, store_box
from redshank.services.ingest import Ingest, deliver
from redshank.services.ingest_report import BoxReport, FetchOrder, Tell
from redshank.services.notify import Notifier

if TYPE_CHECKING:
    from collections.abc import Iterator

PATIENCE = 900.0
"""Seconds that a fetch waits for a failing server altogether; the rest is left for later."""
STORE_NAME = "redshank.sqlite"
"""The store's file in the data folder."""
ADDRESS_NAME = "redshank.address"
"""Holds the address of the redshank that uses the folder, while it answers calls."""
REPLAYS = frozenset(("replay", "demo"))
"""First words of the names of sources that are files."""
RESTART_SECONDS = 30.0
"""After an error that somebody must mend, a live source is tried again this much later."""
NO_ARCHIVE = "none"
"""Address of openSenseMap's archive where there is none."""


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
        if not in_memory:
            _address_file(config).unlink(missing_ok=True)  # of one that was killed
        yield store
    finally:
        store.close()


@contextmanager
def noting_address(config: Config, url: str) -> Iterator[None]:
    """Leave word in the data folder where the redshank that holds it answers calls."""
    file = _address_file(config)
    file.write_text(url, "utf-8")
    try:
        yield
    finally:
        file.unlink(missing_ok=True)


def noted_address(config: Config) -> str | None:
    """Where the redshank that holds the data folder answers calls; None if it answers none."""
    try:
        return _address_file(config).read_text("utf-8") or None
    except FileNotFoundError:
        return None


@contextmanager
def open_reader(config: Config) -> Iterator[Readable]:
    """The store of a configuration for reading only, also while a redshank is running on it."""
    with closing(SqliteReader(store_path(config))) as reader:
        yield reader


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
        pipeline = Pipeline(
            budgets.load(store, config.alarm_budget, Confirmation.parse(config.alarm_confirm)),
            describe,
            config.min_effect,
            Zones(config.timezone, config.site_timezones),
        )
        runner = Runner(bus, store, pipeline, clock, telemetry, config.commit_readings)
        if alerts:
            runner.listen(Notifier(alerts, describe, clock))
        client = _shared_client(config, sources)
        fetch = _fetcher(config, bus, store, clock, client)
        readers = letter_readers(config, store)
        instants = Instants(clock)
        context = Context(config, clock, store, bus, runner, telemetry, fetch, instants, readers)
        runner.start()
        try:
            yield Service(context, [_ingest(context, source) for source in sources])
        finally:
            runner.stop()
            await client.aclose()


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


def configured_sources(config: Config) -> list[Source]:
    """All live sources of a configuration."""
    return box_sources(config) + mqtt_sources(config)


def box_sources(config: Config) -> list[Source]:
    """The openSenseMap boxes of a configuration, live: those named, and those that are found."""
    client = _client(config)
    find_more = _finder(config, client)
    if not config.opensensemap_boxes and find_more is None:
        return []
    pause = config.opensensemap_poll_seconds
    return [OpenSenseMap(config.opensensemap_boxes, client, poll_seconds=pause, find=find_more)]


async def find_boxes(config: Config, fresh: bool = False, **wanted: Any) -> list[Found]:
    """Boxes of openSenseMap that fit; a list that is younger than an hour is used again.

    Args:
        config: which server.
        fresh: ask the server in any case.
        wanted: see :func:`redshank.adapters.sources.opensensemap.search`.

    Raises:
        ConfigError: what is wanted makes no sense.
        SourceError: the server cannot be reached or refuses.
    """
    wish = search(**wanted)
    async with aclosing(_client(config, PATIENCE)) as client:
        return await find(client, wish, None if fresh else _lists(config))


async def register_boxes(config: Config, found: Sequence[Found]) -> None:
    """Enter boxes into the registry of sensors, before any reading of theirs is there."""
    async with open_service(config) as service:
        parcel = Parcel(sensors=[described_box(one.box) for one in found])
        await deliver(service.context.bus, parcel, OpenSenseMap.name)


async def fetch_boxes(
    config: Config,
    bus: Bus,
    store: Store,
    box_ids: Sequence[str],
    tell: Tell | None = None,
    again: bool = False,
    client: OpenSenseMapClient | None = None,
    **what: Any,
) -> list[BoxReport]:
    """Bring the past of boxes into the store, scored, one box after the other.

    Args:
        config: which servers.
        bus: takes the readings.
        store: knows how far each box is read.
        box_ids: the boxes.
        tell: called as it goes on.
        again: read once more what was read before.
        client: asks the server; one of its own if None.
        what: ``start``, ``end``, ``phenomena`` of :class:`History`.

    Raises:
        StoreError: readings cannot be kept.
    """
    async with _histories(config, box_ids, client, **what) as sources:
        return [
            await store_box(bus, store, source, again, _share(tell, i, len(sources), source.box_id))
            for i, source in enumerate(sources)
        ]


async def collect_boxes(
    config: Config, box_ids: Sequence[str], tell: Tell | None = None, **what: Any
) -> tuple[WideTable, list[SensorInfo]]:
    """The past of boxes as one table, beside what is known of them; nothing is stored.

    Raises:
        NotFoundError: there is no such box.
        SourceError: one of them cannot be read to the end.
    """
    parcels: list[Parcel] = []
    async with _histories(config, box_ids, None, **what) as sources:
        for i, source in enumerate(sources):
            share = _share(tell, i, len(sources), source.box_id)
            parcels += await collect_box(source, share)
    batches = [batch for parcel in parcels for batch in parcel.batches]
    return wide_table(batches), [info for parcel in parcels for info in parcel.sensors]


def mqtt_sources(config: Config) -> list[Source]:
    """The MQTT topics of a configuration.

    Raises:
        ConfigError: address, topics or certificates cannot be used.
    """
    if not config.mqtt_url:
        return []
    source = Mqtt(
        _broker(config),
        config.mqtt_topics,
        client_id=config.mqtt_client_id,
        payload=config.mqtt_payload,
        value_path=config.mqtt_value_path,
        time_path=config.mqtt_time_path,
        keep_alive=config.mqtt_keep_alive_seconds,
        rebirth=config.mqtt_sparkplug_rebirth,
    )
    return [source]


def letter_readers(config: Config, store: Store) -> LetterReaders:
    """What reads the dead letters of each source again, as it is configured now.

    Raises:
        ConfigError: when a reader is asked for: what is configured cannot be used.
    """

    def cursor(source: str) -> str | None:
        return store.read(Cursor(source))

    def of(source: str) -> ReadLetter | None:
        if source == Mqtt.name:
            return MqttLetters(
                config.mqtt_topics,
                payload=config.mqtt_payload,
                value_path=config.mqtt_value_path,
                time_path=config.mqtt_time_path,
                cursor=cursor(source),
            )
        if source == OpenSenseMap.name:
            return OpenSenseMapLetters(lambda box_id: described(store, box_id))
        if source == posts.SOURCE:
            return posts.letters(store)
        return FileLetters() if source.partition(" ")[0] in REPLAYS else None

    return of


async def discover_mqtt(config: Config, seconds: float) -> Discovered:
    """Listen to everything at the broker of a configuration, and propose how to read it.

    Raises:
        ConfigError: the address or certificates cannot be used.
        SourceError: the broker cannot be reached or refuses.
    """
    return await listen(_broker(config), seconds)


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


def _address_file(config: Config) -> Path:
    return config.data_dir / ADDRESS_NAME


def _ingest(context: Context, source: Source) -> Ingest:
    """Sources that somebody else keeps readings for are tried again whatever happens."""
    restart = RESTART_SECONDS if isinstance(source, AcknowledgedSource) else None
    return Ingest(context, source, restart)


def _broker(config: Config) -> Broker:
    password = config.mqtt_password
    return Broker.at(
        config.mqtt_url,
        password.get_secret_value() if password else None,
        config.mqtt_ca_file,
        config.mqtt_cert_file,
        config.mqtt_key_file,
    )


def _client(config: Config, patience: float | None = None) -> OpenSenseMapClient:
    return OpenSenseMapClient(config.opensensemap_url, **_manners(config, patience))


def _manners(config: Config, patience: float | None) -> dict[str, Any]:
    return {
        "contact": config.opensensemap_contact,
        "spacing": config.opensensemap_spacing_seconds,
        "patience": patience,
    }


def _lists(config: Config) -> Lists:
    return Lists(config.data_dir / "cache", config.opensensemap_url)


def _finder(
    config: Config, client: OpenSenseMapClient
) -> Callable[[], Awaitable[list[str]]] | None:
    """Searches for boxes to follow; None where no search is configured."""
    near, bbox = config.opensensemap_near, config.opensensemap_bbox
    tags = config.opensensemap_grouptags
    if not (near or bbox or tags):
        return None
    wish = search(near=near, bbox=bbox, grouptags=tags)

    async def ids() -> list[str]:
        found = await find(client, wish, _lists(config))
        return followed(found, config.opensensemap_most_boxes)

    return ids


@asynccontextmanager
async def _histories(
    config: Config, box_ids: Sequence[str], client: OpenSenseMapClient | None, **what: Any
) -> AsyncIterator[list[History]]:
    """The past of each of these boxes, over shared connections."""
    async with AsyncExitStack() as open_ones:
        if client is None:
            client = _client(config, PATIENCE)
            open_ones.push_async_callback(client.aclose)
        archive = None
        if config.opensensemap_archive_url != NO_ARCHIVE:
            manners = _manners(config, PATIENCE)
            archive = Archive(config.opensensemap_archive_url, **manners)
            open_ones.push_async_callback(archive.aclose)
        days = config.opensensemap_archive_days
        yield [
            History(one, client, archive=archive, archive_days=days, **what)
            for one in dict.fromkeys(box_ids)
        ]


def _share(tell: Tell | None, number: int, count: int, name: str) -> Tell | None:
    """Progress of one of several boxes as progress of the whole."""
    if tell is None:
        return None
    return lambda part, text: tell((number + part) / count, f"box {name}, {text}")


def _shared_client(config: Config, sources: Sequence[Source]) -> OpenSenseMapClient:
    """One client a process, that of the live boxes if there are any: politeness is shared."""
    live = (source.client for source in sources if isinstance(source, OpenSenseMap))
    return next(live, None) or _client(config)


def _fetcher(
    config: Config, bus: Bus, store: Store, clock: Clock, client: OpenSenseMapClient
) -> FetchBoxes:
    """Fetching on demand, by the same way as ``redshank fetch``."""

    async def fetch(order: FetchOrder, tell: Tell | None = None) -> list[BoxReport]:
        boxes = order.box_ids or config.opensensemap_boxes
        span = {"start": order.start, "end": order.end}
        what: dict[str, Any] = {**span, "phenomena": order.phenomena, "clock": clock}
        return await fetch_boxes(config, bus, store, boxes, tell, order.again, client, **what)

    return fetch
