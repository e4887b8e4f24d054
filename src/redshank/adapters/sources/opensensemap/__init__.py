"""openSenseMap: boxes found, live and past, from any server that speaks its API."""

from redshank.adapters.sources.opensensemap.archive import Archive
from redshank.adapters.sources.opensensemap.client import OpenSenseMapClient
from redshank.adapters.sources.opensensemap.finding import Found, Lists, find, followed, search
from redshank.adapters.sources.opensensemap.history import History
from redshank.adapters.sources.opensensemap.letters import OpenSenseMapLetters
from redshank.adapters.sources.opensensemap.rows import described
from redshank.adapters.sources.opensensemap.source import OpenSenseMap

__all__ = [
    "Archive",
    "Found",
    "History",
    "Lists",
    "OpenSenseMap",
    "OpenSenseMapClient",
    "OpenSenseMapLetters",
    "described",
    "find",
    "followed",
    "search",
]
