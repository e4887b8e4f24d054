"""Dead letters, read again or thrown away.

A letter whose bytes are a row by now becomes readings, and is gone in the commit that stores them.
Letters that came without a time keep that of their arrival, so that a letter read twice, by two
callers or after a crash, gives the same readings, and these are recognised by their key. What was
posted is read by its content type; what redshank fetched itself by the source that fetched it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from redshank.core.batch import Batch, concat
from redshank.core.clock import SECOND
from redshank.core.config import Config
from redshank.core.csv_readings import CsvDecoder
from redshank.core.decode import decode_json, decode_ndjson
from redshank.core.decoded import MAX_RAW, Decoded
from redshank.core.errors import FieldError, FileFormatError
from redshank.core.letters import LetterReaders, ReadLetter, Reread
from redshank.core.line_protocol import decode_lines
from redshank.core.media import CSV, JSON, LINES, NDJSON
from redshank.core.ports import Commit, Parcel, Receipt
from redshank.core.queries import DeadLetters
from redshank.core.records import DeadLetter, SensorInfo
from redshank.core.rows import SENSOR
from redshank.core.series import Naming
from redshank.services.context import Context
from redshank.services.ingest import add, deliver

SOURCE = "dead-letters"
"""What is told as the source of readings that come from letters."""
POSTED = frozenset(("http", "websocket", "influx"))
"""Sources whose letters are rows in a format of the interface."""
STEP = 500
WAIT_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Replayed:
    """What became of letters that were read again.

    Attributes:
        letters: how many were looked at.
        replayed: are readings now, and gone.
        rejected: stay, with the reason of today.
        skipped: stay as they are: cut off, or an earlier version kept too little with them.
        receipt: what became of the readings.
    """

    letters: int = 0
    replayed: int = 0
    rejected: int = 0
    skipped: int = 0
    receipt: Receipt = field(default_factory=Receipt)


@dataclass(frozen=True, slots=True)
class Reading:
    """What some letters hold now.

    Attributes:
        batches: readings.
        sensors: what letters say of sensors.
        read: ids of the letters that are in them.
        reasons: ids of letters that cannot be read, with the reason.
    """

    batches: list[Batch]
    sensors: list[SensorInfo]
    read: list[int]
    reasons: dict[int, str]

    def parcel(self) -> Parcel:
        """All of it as one commit."""
        return Parcel(
            self.batches,
            sensors=self.sensors,
            dead_letters_removed=self.read,
            dead_letter_reasons=self.reasons,
        )


async def replay(context: Context, wanted: DeadLetters) -> Replayed:
    """Read letters again, oldest first.

    Args:
        context: the running service.
        wanted: which; its limit and place do not matter. Letters that come meanwhile are left out.

    Raises:
        StoreError: readings could not be kept; what went before is done.
    """
    newest = context.store.read(replace(wanted, limit=1, offset=0, after=None))
    last = newest[0].id or 0 if newest else 0
    total, after = Replayed(), 0
    readers = _Readers(context)
    while after < last:
        letters = context.store.read(replace(wanted, limit=STEP, offset=0, after=after))
        letters = [letter for letter in letters if (letter.id or 0) <= last]
        if not letters:
            break
        found = await asyncio.to_thread(read_again, letters, readers.of)
        receipt = await deliver(context.bus, found.parcel(), SOURCE)
        total = Replayed(
            total.letters + len(letters),
            total.replayed + len(found.read),
            total.rejected + len(found.reasons),
            total.skipped + len(letters) - len(found.read) - len(found.reasons),
            add(total.receipt, receipt),
        )
        after = letters[-1].id or last
    return total


def purge(context: Context, wanted: DeadLetters) -> int:
    """Throw letters away; how many there were.

    Raises:
        StoreError: they could not be removed; some may be.
    """
    removed = 0
    while found := context.store.read(replace(wanted, limit=STEP, offset=0)):
        ids = [letter.id for letter in found if letter.id is not None]
        context.runner.write(Commit(dead_letters_removed=ids)).result(WAIT_SECONDS)
        context.telemetry.purged_total.inc(len(ids))
        removed += len(ids)
    return removed


def posted(config: Config) -> ReadLetter:
    """Reads letters that are rows in a format of the interface."""
    naming = Naming(config.line_sensor_tags, frozenset(config.line_containers))

    def read(letter: DeadLetter) -> Reread:
        decoded = decode_letter(letter, naming)
        if decoded.errors:
            first = decoded.errors[0]
            return Reread(reason=f"{first.field}: {first.value!r} {first.reason}")
        return Reread(decoded.batches)

    return read


def read_again(letters: Sequence[DeadLetter], readers: LetterReaders) -> Reading:
    """What letters hold by today's rules; a letter counts as read if all of its rows can be."""
    found = Reading([], [], [], {})
    for letter in letters:
        if letter.id is None or len(letter.raw) >= MAX_RAW:
            continue
        try:
            read = readers(letter.source)
            again = read(letter) if read else None
        except (FieldError, FileFormatError) as error:
            again = Reread(reason=str(error))
        if again is None:
            continue
        if again.reason:
            found.reasons[letter.id] = again.reason
        elif again.batches:
            found.batches.extend(again.batches)
            found.sensors.extend(again.sensors)
            found.read.append(letter.id)
    return replace(found, batches=concat(found.batches))


def decode_letter(letter: DeadLetter, naming: Naming) -> Decoded:
    """The rows of one letter, in the format that it came in.

    Raises:
        FileFormatError: it is not of that format.
    """
    raw, arrival = letter.raw, letter.time
    if letter.content_type in JSON:
        decoded = decode_json(raw, arrival=arrival, naming=naming)
    elif letter.content_type in NDJSON:
        decoded = decode_ndjson(raw, arrival=arrival, naming=naming)
    elif letter.content_type in CSV:
        decoded = CsvDecoder().decode(raw, arrival=arrival)
    elif letter.content_type in LINES:
        precision = letter.details.get("precision", "ns")
        decoded = decode_lines(raw, arrival=arrival, naming=naming, precision=precision)
    else:
        # Letters of one request of an earlier version came at one moment; their numbers keep them
        # apart, the same each time.
        return _guessed(letter, naming).dated_from(arrival + (letter.id or 0) % SECOND)
    return decoded.dated_from(arrival)


def _guessed(letter: DeadLetter, naming: Naming) -> Decoded:
    """The rows of a letter of an earlier version, in the format that its bytes look like.

    Rows of line protocol are taken to have their times in nanoseconds.
    """
    raw, arrival = letter.raw, letter.time
    start = raw.lstrip()
    if start[:1] in (b"{", b"["):
        try:
            return decode_json(raw, arrival=arrival, naming=naming)
        except FileFormatError:
            return decode_ndjson(raw, arrival=arrival, naming=naming)
    if SENSOR.encode() in start.partition(b"\n")[0] and b"\n" in start:
        return CsvDecoder().decode(raw, arrival=arrival)
    return decode_lines(raw, arrival=arrival, naming=naming)


class _Readers:
    """The readers of all sources, made once for all letters of a call."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._known: dict[str, ReadLetter | None] = dict.fromkeys(POSTED, posted(context.config))

    def of(self, source: str) -> ReadLetter | None:
        """What reads the letters of a source; None if nobody does."""
        if source not in self._known:
            self._known[source] = self._context.letter_readers(source)
        return self._known[source]
