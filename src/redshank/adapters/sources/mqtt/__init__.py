"""MQTT 5: sensors that publish to a broker, nothing acknowledged before it is stored."""

from redshank.adapters.sources.mqtt.broker import Broker
from redshank.adapters.sources.mqtt.discover import Discovered, Proposal, listen
from redshank.adapters.sources.mqtt.letters import MqttLetters
from redshank.adapters.sources.mqtt.source import Mqtt

__all__ = ["Broker", "Discovered", "Mqtt", "MqttLetters", "Proposal", "listen"]
