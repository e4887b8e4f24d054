"""Coverage-guided fuzzing of everything that reads bytes from outside, with atheris.

    pip install atheris
    python tests/fuzz/fuzz_decoders.py [--seconds 60] [--only lines] [--corpus DIR]

A decoder may refuse bytes with one of redshank's own errors and nothing else, and every row counts
once. What breaks that is written to crash-… in the working directory, and shown. Not part of the
default run: tests/unit holds the same laws for random bytes (hypothesis).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

try:
    import atheris
except ImportError:
    sys.exit("atheris is not here: pip install atheris (Linux and macOS, Python 3.11 to 3.13)")

with atheris.instrument_imports(include=["redshank"]):
    from redshank.core import device_formats
    from redshank.core.csv_readings import CsvDecoder
    from redshank.core.decode import decode_json, decode_ndjson
    from redshank.core.decoded import Decoded
    from redshank.core.errors import RedshankError
    from redshank.core.line_protocol import decode_lines
    from redshank.core.series import Naming
    from redshank.services.api.problems import Problem
    from redshank.services.api.unpacking import ENCODINGS, unpack

NOW = 1_769_904_000_000_000
LIMIT = 1_000_000
NAMING = Naming()
SEEDS = {
    "json": [b'[{"sensor_id":"a","timestamp":"2026-01-31T12:00:00Z","x":1.5,"values":{"y":2}}]'],
    "ndjson": [b'{"sensor_id":"a","x":1}\n{"name":"m","tags":{"device":"b"},"fields":{"x":1}}\n'],
    "lines": [b'weather,device=a\\ b t=1.5,n=2i,on=t,s="x\\"" 1769860800000000000\n# c\nm x=1\n'],
    "csv": [b'sensor_id;timestamp;x\na;1769860800;1\n"b";2026-01-31T12:00:00Z;\n'],
    "devices": [
        b'\0[{"sensor":"a","value":"1.5","createdAt":"2026-01-31T12:00:00Z","location":[7,51]}]',
        b"\1a,1.5,2026-01-31T12:00:00Z,7,51\n",
        b'\2{"sensordatavalues":[{"value_type":"SDS_P1","value":"5.38"}]}',
        b'\3{"reading":{"PM10_AirPollutantValue":"7.9"}}',
        b"\4" + b"x" * 16,
        b"\5" + b"x" * 20,
    ],
    "packed": [b"\0\x1f\x8b\x08\0\0\0\0\0\0\3", b"\1x\x9c", b"\2\x28\xb5\x2f\xfd"],
}


def counted(decoded: Decoded) -> None:
    """Every row counts once."""
    assert decoded.count == sum(map(len, decoded.batches)) + len(decoded.errors)
    assert [len(place) for place in decoded.places] == list(map(len, decoded.batches))


def devices(data: bytes) -> None:
    """The first byte says which of the formats."""
    formats: list[Callable[[bytes, int], object]] = [
        device_formats.read_json,
        device_formats.read_csv,
        device_formats.read_luftdaten,
        device_formats.read_hackair,
        lambda body, now: device_formats.read_bytes(body, now, timed=False),
        lambda body, now: device_formats.read_bytes(body, now, timed=True),
        lambda body, now: device_formats.read_value(body, "a", now),
    ]
    if data:
        formats[data[0] % len(formats)](data[1:], NOW)


def packed(data: bytes) -> None:
    """The first byte says which encoding."""
    if data:
        assert len(unpack(data[1:], LIMIT, ENCODINGS[data[0] % len(ENCODINGS)])) <= LIMIT


TARGETS: dict[str, Callable[[bytes], None]] = {
    "json": lambda data: counted(decode_json(data, arrival=NOW, naming=NAMING)),
    "ndjson": lambda data: counted(decode_ndjson(data, arrival=NOW, naming=NAMING)),
    "lines": lambda data: counted(decode_lines(data, arrival=NOW)),
    "csv": lambda data: counted(CsvDecoder().decode(data, arrival=NOW)),
    "devices": devices,
    "packed": packed,
}


def main() -> None:
    """Fuzz for a while."""
    parser = argparse.ArgumentParser(description=__doc__, add_help=True)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--only", choices=list(TARGETS))
    parser.add_argument("--corpus", type=Path, help="folder that keeps what found new ground")
    args = parser.parse_args()
    names = [args.only] if args.only else list(TARGETS)

    def test(data: bytes) -> None:
        target = TARGETS[names[data[0] % len(names)]] if data else None
        try:
            if target is not None:
                target(data[1:])
        except (RedshankError, Problem):
            pass

    corpus = args.corpus or Path("fuzz-corpus")
    corpus.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(names):
        for i, seed in enumerate(SEEDS[name]):
            (corpus / f"seed-{name}-{i}").write_bytes(bytes([number]) + seed)
    options = [f"-max_total_time={args.seconds}", "-max_len=4096", "-timeout=10"]
    atheris.Setup([sys.argv[0], *options, str(corpus)], test)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
