"""What a verified access token says."""

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
    """None of a token that no session of a person stands behind."""
    client_id: str
    issued_at: datetime
    expires_at: datetime
    status: StatusReference | None
    authenticated_at: datetime | None = None
    """``auth_time``: when a person last proved who they are; None if nobody says so."""
    methods: frozenset[str] = frozenset()
    """``amr``: how they did (RFC 8176)."""
    assurance: str | None = None
    """``acr``: how much that counts for."""

    @property
    def factors(self) -> int:
        """With how many factors somebody proved who they are; 0 if nobody says so."""
        return next(
            (count for count, name in ASSURANCE.items() if name == self.assurance), 0
        )
