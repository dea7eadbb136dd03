"""What a verified access token says."""

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple


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
