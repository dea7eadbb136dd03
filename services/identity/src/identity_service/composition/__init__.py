"""Compose the service, for the server and for the commands."""

from identity_service.composition.services import Services, compose

__all__ = ["Services", "compose"]
