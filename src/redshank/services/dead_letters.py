"""Dead letters, read again or thrown away.

A letter whose bytes are a row by now becomes readings, and is gone in the commit that stores them.
Letters that came without a time keep that of their arrival, so that a letter read twice, by two
callers or after a crash, gives the same readings, and these are recognised by their key.
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
from redshank.core.errors import FileFormatError
from redshank.core.line_protocol import decode_lines
from redshank.core.ports import Commit, Parcel, Receipt
from redshank.core.queries import DeadLetters
from redshank.core.records import DeadLetter
from redshank.core.rows import SENSOR
from redshank.core.series import Naming
from redshank.services.context import Context
from redshank.services.ingest import add, deliver

SOURCE = "dead-letters"
"""What is told as the source of readings that come from letters."""
READABLE = frozenset(("http", "websocket", "influx"))
"""Sources whose letters hold all that is needed to read them; others can be asked again."""
STEP = 500
WAIT_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Replayed:
    """What became of letters that were read again.

    Attributes:
        letters: how many were looked at.
        replayed: are readings now, and gone.
        rejected: stay, with the reason of today.
        skipped: stay as they are: cut off, or their bytes alone do not say what they are.
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
        read: ids of the letters that are in them.
        reasons: ids of letters that cannot be read, with the reason.
    """

    batches: list[Batch]
    read: list[int]
    reasons: dict[int, str]

    def parcel(self) -> Parcel:
        """All of it as one commit."""
        return Parcel(
            self.batches, dead_letters_removed=self.read, dead_letter_reasons=self.reasons
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
    while after < last:
        letters = context.store.read(replace(wanted, limit=STEP, offset=0, after=after))
        letters = [letter for letter in letters if (letter.id or 0) <= last]
        if not letters:
            break
        found = await asyncio.to_thread(read_again, letters, naming(context.config))
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


def naming(config: Config) -> Naming:
    """How metrics become sensors and channels."""
    return Naming(config.line_sensor_tags, frozenset(config.line_containers))


def read_again(letters: Sequence[DeadLetter], naming: Naming) -> Reading:
    """What letters hold by today's rules; a letter counts as read if all of its rows can be."""
    batches: list[Batch] = []
    read: list[int] = []
    reasons: dict[int, str] = {}
    for letter in letters:
        if letter.id is None or letter.source not in READABLE or len(letter.raw) >= MAX_RAW:
            continue
        try:
            decoded = decode_letter(letter, naming)
        except FileFormatError as error:
            reasons[letter.id] = str(error)
            continue
        if decoded.errors:
            first = decoded.errors[0]
            reasons[letter.id] = f"{first.field}: {first.value!r} {first.reason}"
        elif decoded.batches:
            batches += decoded.batches
            read.append(letter.id)
    return Reading(concat(batches), read, reasons)


def decode_letter(letter: DeadLetter, naming: Naming) -> Decoded:
    """The rows of one letter, in the format that its bytes are in.

    Rows of line protocol have their times in nanoseconds; other ones lie before 1990 then.

    Raises:
        FileFormatError: it is in none.
    """
    # Letters of one request came at one moment; their numbers keep them apart, the same each time.
    arrival = letter.time + (letter.id or 0) % SECOND
    start = letter.raw.lstrip()
    if start[:1] in (b"{", b"["):
        try:
            return decode_json(letter.raw, arrival=arrival, naming=naming)
        except FileFormatError:
            return decode_ndjson(letter.raw, arrival=arrival, naming=naming)
    if SENSOR.encode() in start.partition(b"\n")[0] and b"\n" in start:
        return CsvDecoder().decode(letter.raw, arrival=arrival)
    return decode_lines(letter.raw, arrival=arrival, naming=naming)
