"""A table of one sensor: times, channels, values, and labels kept apart.

`read_table` is for files that people have at hand, so it finds its way: which column is the
time, which are channels, which are labels. Labels never become a channel: a detector that sees
them is worth nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from redshank.core.batch import Floats, Times
from redshank.core.clock import MONTH
from redshank.core.columns import (
    Columns,
    Marks,
    is_time_like,
    labels,
    numbers,
    read_columns,
    times,
)
from redshank.core.errors import FileFormatError
from redshank.core.headings import LABEL_NAMES, TIME_NAMES, plain

ROWS_PER_MONTH = 8640
"""Rows of a month where the table has no times: 30 days of one row every five minutes."""

ROW_SPACING = MONTH // ROWS_PER_MONTH
"""Spacing of the made-up times of a table without times: 5 minutes, in microseconds."""


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """Rows of one sensor, as the file has them. `n` rows, `c` channels.

    Attributes:
        time: (n,) event time in microseconds, UTC; None if the file has no time column.
        channels: names of the c channels, in file order.
        values: (n, c) as written, in double precision; NaN where a cell is empty.
        labels: (n,) True on anomalous rows; None if the file has no labels.
        ignored: columns that are neither time nor channel nor the labels in use.
    """

    time: Times | None
    channels: tuple[str, ...]
    values: Floats
    labels: Marks | None = None
    ignored: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.values)

    def event_time(self) -> Times:
        """(n,) the times; without any, one row every five minutes from 1970 on."""
        if self.time is None:
            return np.arange(len(self), dtype=np.int64) * ROW_SPACING
        return self.time


def read_table(path: Path | str) -> Table:
    """Read a CSV, NDJSON (both also ``.gz``) or Parquet file with one row for each time.

    Time is the first column with one of `TIME_NAMES`, else the first that holds timestamps or
    ISO 8601 text; without one, rows are taken as evenly spaced. Columns named as in
    `LABEL_NAMES` are kept away from the channels, the first of them that can be read as labels
    is `labels`. All other columns of numbers are channels, what is left is `ignored`. CSV may
    use comma, semicolon, tab or bar, a decimal comma (not with the comma as delimiter) and a
    byte-order mark. Case, spaces and hyphens in names do not matter.

    Raises:
        NotFoundError: there is no such file.
        FileFormatError: it cannot be read, has no rows or no channels, or a cell does not fit
            its column; names file, column, row (the first row of data is 1) and value.
    """
    path = Path(path)
    columns = read_columns(path)
    try:
        return _table(columns)
    except FileFormatError as error:
        raise FileFormatError(f"{path.name}: {error}") from None


def _table(columns: Columns) -> Table:
    clock = _time_column(columns)
    label_names = _by_preference(columns, LABEL_NAMES)
    marks = {name: labels(columns[name]) for name in label_names}
    chosen = next((name for name in label_names if marks[name] is not None), None)
    values = {
        name: numbers(name, column)
        for name, column in columns.items()
        if name != clock and name not in label_names
    }
    channels = {name: column for name, column in values.items() if column is not None}
    if not channels:
        raise FileFormatError(
            f"no column of numbers among {', '.join(columns)}; a table needs at least one channel"
        )
    return Table(
        time=None if clock is None else times(clock, columns[clock]),
        channels=tuple(channels),
        values=np.column_stack(list(channels.values())),
        labels=None if chosen is None else marks[chosen],
        ignored=tuple(n for n in columns if n not in (clock, chosen) and n not in channels),
    )


def _time_column(columns: Columns) -> str | None:
    named = _by_preference(columns, TIME_NAMES)
    if named:
        return named[0]
    return next((name for name, column in columns.items() if is_time_like(column)), None)


def _by_preference(columns: Columns, wanted: tuple[str, ...]) -> list[str]:
    """The columns with these names, in the order of the names."""
    return [name for target in wanted for name in columns if plain(name) == target]
