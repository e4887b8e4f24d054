"""Dead letters of files: rows that are read again by what is known of their file now."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from redshank.core.decoded import RowError
from redshank.core.files import stem
from redshank.core.letters import Reread
from redshank.core.recording import Recording, described_by
from redshank.core.records import DeadLetter

_SENSOR, _UNITS, _SHIFT = "sensor_id", "units", "shift"


class FileLetters:
    """Reads letters again; see :data:`redshank.core.letters.ReadLetter`.

    ``sensors.json`` beside the file counts as it is now. Where it is no longer there, sensor and
    units are those that it named when the row was read first.
    """

    def __call__(self, letter: DeadLetter) -> Reread | None:
        """What a letter holds now; None if an earlier version did not say of which file it is.

        Raises:
            FileFormatError: ``sensors.json`` is not JSON.
        """
        if not letter.topic:
            return None
        path = Path(letter.topic)
        said = described_by(path)
        metadata = said.get(stem(path), {}) if said else _remembered(letter.details)
        recording = Recording(path, metadata, letter.time)
        batches, errors = recording.read(_rows(letter.raw))
        if errors:
            return Reread(reason=why(errors[0]))
        shift = int(letter.details.get(_SHIFT, "0"))
        moved = [replace(batch, time=batch.time + shift) for batch in batches]
        return Reread(moved, recording.new_sensors(letter.source))


def details(metadata: Mapping[str, Any], shift: int) -> dict[str, str]:
    """What is kept with a bad row, besides its file.

    Args:
        metadata: what ``sensors.json`` says of the file.
        shift: microseconds by which the replay moves all times.
    """
    found = {_SHIFT: str(shift)} if shift else {}
    if _SENSOR in metadata:
        found[_SENSOR] = str(metadata[_SENSOR])
    if metadata.get(_UNITS):
        found[_UNITS] = json.dumps(metadata[_UNITS], ensure_ascii=False)
    return found


def why(error: RowError) -> str:
    """What is wrong with a row."""
    return f"{error.field}: {error.value!r} {error.reason}"


def _remembered(details: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if _SENSOR in details:
        found[_SENSOR] = details[_SENSOR]
    if _UNITS in details:
        found[_UNITS] = json.loads(details[_UNITS])
    return found


def _rows(raw: bytes) -> list[Any]:
    """The row, or in the long form the rows that belong together."""
    try:
        value = json.loads(raw)
    except ValueError:
        return [raw.decode("utf-8", "replace")]
    several = isinstance(value, list) and all(isinstance(one, dict) for one in value)
    return value if several and value else [value]
