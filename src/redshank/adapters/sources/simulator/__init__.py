"""A fleet of sensors that does not exist, with faults that are known: seeded and labelled."""

from redshank.adapters.sources.simulator.faults import KINDS
from redshank.adapters.sources.simulator.presets import PRESETS, ChannelModel
from redshank.adapters.sources.simulator.source import Label, Simulated, Simulator, write

__all__ = ["KINDS", "PRESETS", "ChannelModel", "Label", "Simulated", "Simulator", "write"]
