"""Every source that is installed passes every check.

A source shows what it reads from through a sample: a context that yields a maker.
"""

import importlib.util
import shutil
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from redshank.checks import sources
from redshank.core import plugins
from redshank.core.clock import MINUTE, FakeClock, parse_time
from redshank.core.tabular import write_table

START = parse_time("2026-01-05T00:00:00Z")
SERVER = Path(__file__).parents[1] / "unit" / "opensensemap_server.py"


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

    spec = importlib.util.spec_from_file_location("opensensemap_server", SERVER)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

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


SAMPLES = {
    "file": file_sample,
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
