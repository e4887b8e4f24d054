"""Readings as one wide table: a row per sensor and time, a column per channel."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from redshank.core.batch import Batch, Floats, concat
from redshank.core.clock import format_time
from redshank.core.table_writer import Column, write_table

TIME, SENSOR = "timestamp", "sensor_id"


@dataclass(frozen=True, slots=True, eq=False)
class WideTable:
    """``n`` readings in time order, for analysis and training.

    Attributes:
        columns: by name, each of length ``n``: ``timestamp`` (datetime64[us], UTC), ``sensor_id``,
            then the channels (float64 in their canonical units, NaN where a reading lacks one),
            then what else readings carry, such as ``latitude`` and ``longitude``.
        channels: names of those columns that are channels.
        conflicts: values that were left out because another one of the same channel and time came
            first.
    """

    columns: Mapping[str, Column]
    channels: tuple[str, ...]
    conflicts: int = 0

    def __len__(self) -> int:
        return len(self.columns[TIME])

    def rows(self) -> Iterator[dict[str, Any]]:
        """A mapping per reading: ISO 8601 text for the time, absent values left out."""
        times = self.columns[TIME]
        assert isinstance(times, np.ndarray)
        plain: list[Sequence[Any]] = [list(map(format_time, times.astype(np.int64).tolist()))]
        for name, column in self.columns.items():
            if name != TIME:
                plain.append(column.tolist() if isinstance(column, np.ndarray) else column)
        for row in zip(*plain, strict=True):
            cells = zip(self.columns, row, strict=True)
            yield {name: cell for name, cell in cells if cell == cell and cell != ""}

    def write(self, path: Path | str) -> None:
        """Write a CSV, Parquet or NDJSON file, by its ending.

        Raises:
            FileFormatError: the ending is another one.
        """
        write_table(Path(path), self.columns)


def wide_table(batches: Sequence[Batch]) -> WideTable:
    """One table of all batches.

    Of two values of a channel at one time of a sensor the one of the earlier batch stays.
    """
    parts = [part for part in concat(batches) if len(part)]
    channels = tuple(sorted({name for part in parts for name in part.channels}))
    ids = sorted({one for part in parts for one in part.sensor_ids})
    number = {one: i for i, one in enumerate(ids)}
    time = np.concatenate([np.zeros(0, np.int64), *(part.time for part in parts)])
    sensor = np.concatenate(
        [np.zeros(0, np.int64), *(_renumbered(part, number) for part in parts)]
    ).astype(np.int64)
    values = np.concatenate(
        [np.zeros((0, len(channels))), *(part.select(channels) for part in parts)]
    )
    order = np.lexsort((sensor, time))
    time, sensor, values = time[order], sensor[order], values[order]
    first = np.ones(len(time), np.bool_)
    first[1:] = (np.diff(time) != 0) | (np.diff(sensor) != 0)
    conflicts = _fold(values, first)
    tags = [tag for part in parts for tag in (part.tags or (None,) * len(part))]
    kept = order[first]
    columns: dict[str, Column] = {
        TIME: time[first].view("datetime64[us]"),
        SENSOR: [ids[i] for i in sensor[first].tolist()],
        **{name: values[first, column] for column, name in enumerate(channels)},
    }
    for name, column in _tag_columns([tags[i] for i in kept.tolist()]).items():
        columns.setdefault(name, column)
    return WideTable(columns, channels, conflicts)


def _renumbered(part: Batch, number: Mapping[str, int]) -> Any:
    return np.array([number[one] for one in part.sensor_ids], np.int64)[part.sensor]


def _fold(values: Floats, first: Any) -> int:
    """Move values of repeated times up into the first row of that time; how many conflicted."""
    conflicts = 0
    for row in np.flatnonzero(~first).tolist():
        target = row - 1
        while not first[target]:
            target -= 1
        came, there = values[row], values[target]
        new = np.isnan(there) & ~np.isnan(came)
        conflicts += int(np.sum(~np.isnan(there) & ~np.isnan(came) & (there != came)))
        there[new] = came[new]
    return conflicts


def _tag_columns(tags: Sequence[Mapping[str, str] | None]) -> dict[str, Column]:
    """A column per tag; numbers where all of its texts are numbers."""
    names = sorted({name for tag in tags if tag for name in tag})
    out: dict[str, Column] = {}
    for name in names:
        texts = [tag.get(name, "") if tag else "" for tag in tags]
        try:
            out[name] = np.array([float(text) if text else np.nan for text in texts])
        except ValueError:
            out[name] = texts
    return out
