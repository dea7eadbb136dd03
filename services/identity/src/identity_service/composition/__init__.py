"""Put the service together: what the server and the commands have in common."""

from identity_service.composition.services import Services, compose

__all__ = ["Services", "compose"]
