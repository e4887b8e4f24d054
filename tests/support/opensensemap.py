"""The small openSenseMap of the unit tests, for all rings."""

from __future__ import annotations

import importlib.util
from pathlib import Path

_spec = importlib.util.spec_from_file_location(
    "opensensemap_server", Path(__file__).parents[1] / "unit" / "opensensemap_server.py"
)
assert _spec and _spec.loader
_module = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_module)
Server = _module.Server
