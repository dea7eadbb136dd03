"""Write access tokens (RFC 9068): claims that others can verify without asking."""

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import jwt

from identity_service.security.key_material import SigningKey
from service_kit.tokens import ALGORITHM

_JTI_SIZE: Final = 16
"""Random bytes: no two tokens share a name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessTokenContent:
    """What one token says. ASCII only: no user name, no e-mail address."""

    subject: int
    session_id: str
    client_id: str
    roles: Iterable[str]
    issued_at: datetime
    expires_at: datetime
    status_uri: str
    status_idx: int


class AccessTokenWriter:
    """Writes the access tokens of one issuer, meant for one audience."""

    def __init__(self, *, issuer: str, audience: str, token_type: str) -> None:
        self._issuer = issuer
        self._audience = audience
        self._token_type = token_type

    def write(self, content: AccessTokenContent, key: SigningKey) -> str:
        """Return the signed token."""
        payload = {
            "iss": self._issuer,
            "aud": self._audience,
            "sub": str(content.subject),
            "client_id": content.client_id,
            "iat": int(content.issued_at.timestamp()),
            "exp": int(content.expires_at.timestamp()),
            "jti": secrets.token_urlsafe(_JTI_SIZE),
            "sid": content.session_id,
            "roles": sorted(content.roles),
            "status": {
                "status_list": {"idx": content.status_idx, "uri": content.status_uri}
            },
        }
        headers = {"kid": key.kid, "typ": self._token_type}
        return jwt.encode(payload, key.private_key, ALGORITHM, headers)
