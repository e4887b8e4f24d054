"""openSenseMap: live boxes and their recent past, from any server that speaks its API."""

from redshank.adapters.sources.opensensemap.client import OpenSenseMapClient
from redshank.adapters.sources.opensensemap.source import Fetched, OpenSenseMap

__all__ = ["Fetched", "OpenSenseMap", "OpenSenseMapClient"]
