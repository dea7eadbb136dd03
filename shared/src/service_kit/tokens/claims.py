"""The claims of a verified access token."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple

ASSURANCE: Final = {1: "aal1", 2: "aal2"}
"""What ``acr`` says of a sign-in with so many factors (NIST SP 800-63B section 2)."""


class StatusReference(NamedTuple):
    """Where the token's revocation can be read: an entry of a status list."""

    uri: str
    idx: int


@dataclass(frozen=True, slots=True)
class AccessClaims:
    """The claims of an access token (RFC 9068); only `TokenVerifier` makes them."""

    subject: str
    roles: frozenset[str]
    token_id: str
    session_id: str | None
    """None if the token belongs to no session of a user."""
    client_id: str
    issued_at: datetime
    expires_at: datetime
    status: StatusReference | None
    authenticated_at: datetime | None = None
    """``auth_time``: when the user last authenticated, if the token says so."""
    methods: frozenset[str] = frozenset()
    """``amr``: the methods of authentication (RFC 8176)."""
    assurance: str | None = None
    """``acr``: the assurance of the authentication."""

    @property
    def factors(self) -> int:
        """How many factors the authentication had; 0 if the token does not say."""
        return next(
            (count for count, name in ASSURANCE.items() if name == self.assurance), 0
        )
