"""The resources and who may read them."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Resource:
    """A fixed text at a path."""

    path: str
    text: str
    role: str | None = None
    """The role a caller needs; None for any valid access token."""
    public: bool = False
    """Whether it is served without an access token."""


RESOURCES: Final = (
    Resource("/api/test/all", "Public Content.", public=True),
    Resource("/api/test/user", "User Content."),
    Resource("/api/test/mod", "Moderator Content.", role="moderator"),
    Resource("/api/test/admin", "Admin Content.", role="admin"),
)
"""A new text is a new line here. No role includes another."""
