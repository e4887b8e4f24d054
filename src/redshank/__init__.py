"""redshank: anomaly detection for IoT sensors."""

__version__ = "0.1.0"
