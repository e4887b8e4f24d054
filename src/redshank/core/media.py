"""Content types of readings, the usual name first."""

from __future__ import annotations

JSON = ("application/json",)
NDJSON = ("application/x-ndjson", "application/ndjson", "application/jsonl")
CSV = ("text/csv", "application/csv")
LINES = ("application/vnd.influx.line", "application/x-influx-line")
PLAIN = ("text/plain",)
