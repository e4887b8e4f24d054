"""What every store must know of places."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from redshank.checks.store_samples import MakeStore
from redshank.core.ports import Commit
from redshank.core.queries import NearbySensors
from redshank.core.records import ChannelInfo, SensorInfo


def check_who_is_near(make: MakeStore) -> None:
    """By distance over the date line and the pole, by site, by channel and by exposure."""
    store = make("a")
    channels = {"t": ChannelInfo("t"), 'odd "x"': ChannelInfo("x")}

    def at(name: str, latitude: float | None, longitude: float | None, **more: Any) -> SensorInfo:
        place = {"latitude": latitude, "longitude": longitude}
        return SensorInfo(name, **{"channels": channels, **place, **more})

    store.write(
        Commit(
            sensors=[
                at("a", 52.0, 7.0, exposure="outdoor"),
                at("b", 52.1, 7.0),
                at("c", 52.05, 7.0, exposure="indoor"),
                at("d", 52.0, 7.01, channels={}),
                at("e", 52.3, 7.0, exposure="outdoor", site="hill"),
                at("f", 52.0, 6.99, exposure="outdoor"),
                at("east", 10.0, 179.95),
                at("west", 10.0, -179.95),
                at("pole", 89.95, 0.0),
                at("beyond", 89.95, 180.0),
                at("g", None, None, site="hill"),
                at("h", 52.4, 7.0, site="hill"),
            ]
        )
    )

    def near(name: str, channel: str = "t", **more: Any) -> Sequence[str]:
        return store.read(NearbySensors(name, channel, **more))

    assert near("a") == near("a", 'odd "x"') == ["f", "b"]
    assert near("a", "humidity") == near("nobody") == []
    assert near("a", km=50.0) == ["f", "b", "e", "h"]
    assert near("a", km=50.0, limit=1) == ["f"]
    assert near("b") == ["c", "a", "f"]
    assert (near("east"), near("beyond")) == (["west"], ["pole"])
    assert (near("e"), near("g")) == (["h", "g"], ["e", "h"])
    store.write(Commit(sensors=[at("f", 53.0, 7.0)], sensors_removed=["b"]))
    assert near("a") == []
    store.close()
