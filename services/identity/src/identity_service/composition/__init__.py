"""Compose the service, for the server and for the commands."""

from identity_service.composition.services import Services

__all__ = ["Services"]
