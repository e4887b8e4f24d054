"""Every source that is installed passes every check.

A source shows what it reads from through a sample: a context that yields a maker.
"""

import importlib.util
import shutil
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import orjson
import pytest

from redshank.checks import sources
from redshank.core import plugins
from redshank.core.clock import DAY, MINUTE, FakeClock, parse_time
from redshank.core.table_writer import write_table
from support import mqtt_broker

START = parse_time("2026-01-05T00:00:00Z")
SERVERS = Path(__file__).parents[1] / "unit"


def helper(name):
    """A server of the unit ring."""
    spec = importlib.util.spec_from_file_location(name, SERVERS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@contextmanager
def file_sample(source, folder):
    """Two sensors in two formats, in more than one parcel."""
    for name, n in (("a.csv", 7000), ("b.parquet", 4000)):
        write_table(
            folder / name,
            {
                "timestamp": START + np.arange(n) * MINUTE,
                "temperature": np.round(np.sin(np.arange(n) / 500), 3),
                "humidity": np.where(np.arange(n) % 7, 50.0, np.nan),
            },
        )
    yield lambda: source([folder])
    shutil.rmtree(folder)


@contextmanager
def simulator_sample(source, folder):
    yield lambda: source(
        "factory", sensors=7, rows=2000, start=START, speed=None, faults_per_day=2, healthy_hours=1
    )


@contextmanager
def opensensemap_sample(source, folder):
    """Two boxes on a server of their own; done when the source waits for more."""
    from redshank.adapters.sources.opensensemap import OpenSenseMapClient

    module = helper("opensensemap_server")

    async def nobody_waits(seconds):
        if seconds > 10:
            raise sources.Done

    with module.Server() as server:
        for box in ("0a" * 12, "0b" * 12):
            server.add_box(box, [(f"{box}t", "Temperatur", "°C"), (f"{box}h", "Humidity", "%")])
            for i in range(100):
                server.upload(f"{box}t", START + i * MINUTE, i / 10)
                server.upload(f"{box}h", START + i * MINUTE, 50 + i / 10)

        def make():
            clock = FakeClock(START + 200 * MINUTE)
            client = OpenSenseMapClient(server.url, spacing=0.0, clock=clock, sleep=nobody_waits)
            return source(["0a" * 12, "0b" * 12], client, clock=clock, sleep=nobody_waits)

        yield make


@contextmanager
def mqtt_sample(source, folder):
    """Messages with and without times, from a broker that hangs up again and again."""
    from redshank.adapters.sources.mqtt import Broker

    messages = [
        (f"sensors/a/{'temperature' if i % 2 else 'humidity'}", b"%d.5" % (i % 7))
        if i % 3
        else ("sensors/b", orjson.dumps({"timestamp": (START + i * MINUTE) // 1000, "pm25": i}))
        for i in range(100)
    ]
    with ExitStack() as brokers:

        def make():
            broker = brokers.enter_context(mqtt_broker.Broker(messages, hang_up_after=30))

            async def nobody_waits(seconds):
                if len(set(broker.acknowledged)) >= len(messages):
                    raise sources.Done

            clock = FakeClock(START + DAY)
            return source(
                Broker("127.0.0.1", broker.port),
                ["sensors/{sensor_id}/{channel}", "sensors/{sensor_id}"],
                client_id="sample",
                clock=clock,
                sleep=nobody_waits,
            )

        yield make


SAMPLES = {
    "file": file_sample,
    "mqtt": mqtt_sample,
    "opensensemap": opensensemap_sample,
    "simulator": simulator_sample,
}


@pytest.fixture(params=plugins.names("redshank.sources"))
def make(request, tmp_path):
    assert request.param in SAMPLES, f"source {request.param!r} shows no sample"
    with SAMPLES[request.param](plugins.load("redshank.sources", request.param), tmp_path) as maker:
        yield maker


@pytest.mark.parametrize("check", sources.CHECKS, ids=lambda check: check.__name__)
def test_source(check, make):
    check(make)
