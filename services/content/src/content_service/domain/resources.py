"""The resources and who may read them."""

from dataclasses import dataclass
from enum import Enum
from typing import Final


class Access(Enum):
    """Who may read a resource."""

    PUBLIC = "anybody"
    AUTHENTICATED = "anybody with a valid access token"
    MODERATOR = "moderator"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Resource:
    """A text at a path."""

    path: str
    text: str
    access: Access


RESOURCES: Final = (
    Resource("/api/test/all", "Public Content.", Access.PUBLIC),
    Resource("/api/test/user", "User Content.", Access.AUTHENTICATED),
    Resource("/api/test/mod", "Moderator Content.", Access.MODERATOR),
    Resource("/api/test/admin", "Admin Content.", Access.ADMIN),
)
"""A new resource is a new line here. No role includes another."""
