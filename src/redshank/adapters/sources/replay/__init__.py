"""Replay of files, merged in event-time order, at any speed."""

from redshank.adapters.sources.replay.letters import FileLetters
from redshank.adapters.sources.replay.source import FileReplay, demo_source

__all__ = ["FileLetters", "FileReplay", "demo_source"]
