"""The command line: thin faces over functions that Python callers and the HTTP API share."""

from __future__ import annotations

from redshank.cli.app import main

__all__ = ["main"]
