"""RSA signing keys: made, sealed, opened and checked."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import (
    RSAPrivateKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)

from identity_service.security.keyrings import Sealer
from service_kit.tokens import (
    ALGORITHM,
    UnusableKeyError,
    VerificationKey,
    parse_jwk,
    public_jwk,
    thumbprint,
    verification_key,
)
from service_kit.tokens.jwk import MIN_MODULUS_BITS, PUBLIC_EXPONENT

KEY_BITS: Final = 3072
"""128-bit strength (NIST SP 800-57 part 1 table 2)."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key that signs, and its name."""

    kid: str
    private_key: RSAPrivateKey = field(repr=False)


async def generate_signing_key() -> SigningKey:
    """Return a new key. Takes some tenths of a second, off the event loop."""
    private_key = await asyncio.to_thread(
        generate_private_key, PUBLIC_EXPONENT, KEY_BITS
    )
    return SigningKey(thumbprint(private_key.public_key()), private_key)


def seal_signing_key(
    key: SigningKey, sealer: Sealer, *, like: bytes | None = None
) -> bytes:
    """Return the private half, as PKCS #8, sealed for this kid alone.

    It is sealed under the key-encryption key of ``like``, by default the first.
    """
    plain = key.private_key.private_bytes(
        Encoding.DER, PrivateFormat.PKCS8, NoEncryption()
    )
    return sealer.seal(plain, key.kid.encode(), like=like)


def open_signing_key(kid: str, sealed: bytes, sealer: Sealer) -> SigningKey:
    """Return the key that was sealed for this kid.

    That its numbers fit together is not tested: it would hold up every thread for an
    eighth of a second, and anyone who could change them could make a seal as well.

    Raises `SealBrokenError`: none of our keys opens it; `UnusableKeyError`: what was
    sealed is no RSA key, is weak, or has another name.
    """
    plain = sealer.open(sealed, kid.encode())
    try:
        private_key = load_der_private_key(
            plain, password=None, unsafe_skip_rsa_key_validation=True
        )
    except (ValueError, TypeError) as error:
        raise UnusableKeyError("not a PKCS #8 key") from error
    if not isinstance(private_key, RSAPrivateKey):
        raise UnusableKeyError("not an RSA key")
    if private_key.key_size < MIN_MODULUS_BITS:
        raise UnusableKeyError(f"has {private_key.key_size} bits")
    if thumbprint(private_key.public_key()) != kid:
        raise UnusableKeyError("is not the key that its kid names")
    return SigningKey(kid, private_key)


def published_jwk(key: SigningKey) -> str:
    """Return the public half as JSON."""
    return json.dumps(public_jwk(verification_key(key.private_key.public_key())))


def read_published_jwk(kid: str, published: str) -> VerificationKey:
    """Return the public half that was published under this kid.

    Raises `UnusableKeyError`: it is weak, for another purpose, or has another name.
    """
    key = parse_jwk(json.loads(published))
    if thumbprint(key.public_key) != kid or key.kid != kid:
        raise UnusableKeyError("is not the key that its kid names")
    return key


def write_jws(claims: Mapping[str, Any], key: SigningKey, *, media_type: str) -> str:
    """Return the claims as a signed token whose ``typ`` is the media type."""
    headers = {"kid": key.kid, "typ": media_type}
    return jwt.encode(dict(claims), key.private_key, ALGORITHM, headers)
