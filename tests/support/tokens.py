"""Tokens as an issuer makes them, and as nobody should."""

import functools
import json
import time
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256

from service_kit.tokens import VerificationKey, verification_key

ISSUER: Final = "https://id.example"
AUDIENCE: Final = "content"
LISTS: Final = f"{ISSUER}/api/auth/statuslists/"
LIFETIME: Final = 900

OMIT: Final = object()
"""Instead of a value: leave the member out."""


@functools.cache
def _generated(name: str, bits: int) -> RSAPrivateKey:  # noqa: ARG001 - the cache's key
    return rsa.generate_private_key(65537, bits)


def private_key(name: str = "first", bits: int = 3072) -> RSAPrivateKey:
    """Return the key of that name, made once a run."""
    return _generated(name, bits)


def public_half(name: str = "first", bits: int = 3072) -> VerificationKey:
    """Return what verifiers know of the key."""
    return verification_key(private_key(name, bits).public_key())


def claims_of(token: str) -> Any:  # noqa: ANN401 - parsed JSON
    """Return what a token says, whoever signed it."""
    return jwt.decode(token, options={"verify_signature": False})


def good_header(key: str = "first") -> dict[str, Any]:
    return {"alg": "RS256", "kid": public_half(key).kid, "typ": "at+jwt"}


def good_claims(now: float | None = None) -> dict[str, Any]:
    """Return the claims of a token that is good in every respect."""
    issued_at = int(time.time() if now is None else now)
    return {
        "iss": ISSUER,
        "sub": "42",
        "aud": AUDIENCE,
        "client_id": "first-party",
        "iat": issued_at,
        "exp": issued_at + LIFETIME,
        "jti": "0123456789abcdef",
        "sid": "fedcba9876543210",
        "roles": ["user"],
        "status": {"status_list": {"idx": 0, "uri": f"{LISTS}1"}},
    }


def changed(members: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    merged = {**members, **changes}
    return {name: value for name, value in merged.items() if value is not OMIT}


def b64(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def as_json(value: object) -> bytes:
    return value if isinstance(value, bytes) else json.dumps(value).encode()


def sign(header: object, payload: object, key: str = "first") -> str:
    """Return a compact JWS over any header and payload, by RS256 whatever they say.

    Bytes stand for themselves; anything else is written as JSON.
    """
    signed = f"{b64(as_json(header))}.{b64(as_json(payload))}"
    signature = private_key(key).sign(signed.encode(), padding.PKCS1v15(), SHA256())
    return f"{signed}.{b64(signature)}"


def mint(
    *,
    key: str = "first",
    header: Mapping[str, Any] | None = None,
    claims: Mapping[str, Any] | None = None,
    now: float | None = None,
) -> str:
    """Return a good token, but for the changes asked for."""
    return sign(
        changed(good_header(key), header or {}),
        changed(good_claims(now), claims or {}),
        key,
    )


def mint_as_identity_does(claims: Mapping[str, Any] | None = None) -> str:
    """Return a good token made by PyJWT, which is not the code that judges it."""
    headers = {"kid": public_half().kid, "typ": "at+jwt"}
    payload = changed(good_claims(), claims or {})
    return jwt.encode(payload, private_key(), "RS256", headers)
