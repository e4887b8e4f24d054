"""Stored readings of a sensor as a file, streamed: its past may be larger than the memory."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from typing import IO, Annotated, Any, cast
from urllib.parse import quote

import numpy as np
from fastapi import APIRouter, Depends, Query
from starlette.responses import StreamingResponse

from redshank.core.flags import flag_bits
from redshank.core.table_writer import Column, csv_parts, write_parquet_parts
from redshank.services.api.params import FlagNames, Service, TimeText, micros, responses
from redshank.services.context import Context
from redshank.services.export import Wanted, export

router = APIRouter(prefix="/sensors", tags=["sensors"])

CSV, PARQUET = "text/csv", "application/vnd.apache.parquet"
_PIECE = 256 * 1024
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def _wanted(
    sensor_id: str,
    start: TimeText = None,
    end: TimeText = None,
    channel: Annotated[list[str] | None, Query(max_length=256)] = None,
    flags: Annotated[bool, Query(description="with the quality flags of each value")] = False,
    verdicts: Annotated[bool, Query(description="with status, score and return rate")] = False,
    units: Annotated[bool, Query(description="with units in the heading")] = False,
    flag: FlagNames = None,
) -> Wanted:
    return Wanted(
        (sensor_id,),
        micros(start, "start"),
        micros(end, "end"),
        tuple(channel or ()),
        flags=flags,
        verdicts=verdicts,
        units=units,
        flagged=flag_bits(flag or ()),
    )


Asked = Annotated[Wanted, Depends(_wanted)]


@router.get(
    "/{sensor_id:path}/readings.csv",
    summary="All readings of a span as CSV",
    responses={200: {"content": {CSV: {}}}, **responses(404, 422, 503)},
    response_class=StreamingResponse,
)
def csv_file(context: Service, wanted: Asked) -> StreamingResponse:
    """A row per reading in time order, a column per channel; without a span all there is.

    Text that spreadsheets would run has a `'` before it.
    """
    table = export(context.store, wanted)
    titles = {_quoted(name): kind for name, kind in table.columns.items()}
    pieces = csv_parts(titles, map(_harmless, table.parts))
    return _file(pieces, f"{CSV}; charset=utf-8", wanted.sensor_ids[0], "csv")


@router.get(
    "/{sensor_id:path}/readings.parquet",
    summary="All readings of a span as Parquet",
    responses={200: {"content": {PARQUET: {}}}, **responses(404, 422, 503)},
    response_class=StreamingResponse,
)
def parquet_file(context: Service, wanted: Asked) -> StreamingResponse:
    """The same as `readings.csv`; the file is made before its first byte is sent."""
    table = export(context.store, wanted)
    with ExitStack() as failed:
        file = failed.enter_context(_scratch(context))
        write_parquet_parts(file, table.columns, table.parts)
        size = file.tell()
        file.seek(0)
        failed.pop_all()
    answer = _file(_pieces(file), PARQUET, wanted.sensor_ids[0], "parquet")
    answer.headers["Content-Length"] = str(size)
    return answer


def _harmless(part: Mapping[str, Column]) -> Mapping[str, Column]:
    """Columns of which a spreadsheet runs nothing as a formula, after OWASP's CSV injection."""
    return {
        _quoted(name): column if isinstance(column, np.ndarray) else list(map(_quoted, column))
        for name, column in part.items()
    }


def _quoted(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text


def _scratch(context: Context) -> IO[bytes]:
    """A file without a name beside the store: it is gone with the process, whatever happens."""
    folder = context.config.data_dir
    return cast(IO[bytes], tempfile.TemporaryFile(dir=folder if folder.is_dir() else None))


def _pieces(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        while piece := file.read(_PIECE):
            yield piece


def _file(
    pieces: Iterator[bytes], media_type: str, sensor_id: str, ending: str
) -> StreamingResponse:
    plain = re.sub(r"[^A-Za-z0-9._-]+", "_", sensor_id) or "sensor"
    name = f"attachment; filename=\"{plain}.{ending}\"; filename*=UTF-8''{quote(sensor_id, '')}"
    headers: dict[str, Any] = {"Content-Disposition": f"{name}.{ending}"}
    return StreamingResponse(pieces, media_type=media_type, headers=headers)
