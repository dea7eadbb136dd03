"""Write JSON Web Signatures (RFC 7515)."""

from collections.abc import Mapping
from typing import Any

import jwt

from identity_service.security.key_material import SigningKey
from service_kit.tokens import ALGORITHM


def write_jws(claims: Mapping[str, Any], key: SigningKey, *, media_type: str) -> str:
    """Return the claims as a signed token whose ``typ`` is the media type."""
    headers = {"kid": key.kid, "typ": media_type}
    return jwt.encode(dict(claims), key.private_key, ALGORITHM, headers)
