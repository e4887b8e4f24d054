"""The HTTP and WebSocket interface."""

from redshank.services.api.app import create_app

__all__ = ["create_app"]
