"""RSA verification keys as JSON Web Keys (RFC 7517, RFC 7518 section 6.3)."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey, RSAPublicNumbers

from service_kit.tokens import base64url
from service_kit.tokens.key_set import VerificationKey

ALGORITHM: Final = "RS256"
"""The only signature algorithm there is here (RFC 8725 section 3.1)."""

MIN_MODULUS_BITS: Final = 2048
"""Accepted; our own issuer makes 3072 (NIST SP 800-57: 2048 is 112-bit strength)."""

MAX_MODULUS_BITS: Final = 8192
"""Verification time grows with the square of this."""

PUBLIC_EXPONENT: Final = 65537
"""F4. Smaller ones invite forgery, larger ones cost time."""

MAX_KID_LENGTH: Final = 256

PRIVATE_MEMBERS: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
"""Members of private and symmetric keys: a published secret is no secret."""


class UnusableKeyError(ValueError):
    """The JWK is malformed, weak, private, or meant for something else."""


def parse_jwk(untrusted: Mapping[str, Any]) -> VerificationKey:
    """Return the RS256 verification key that the JWK describes.

    Raises `UnusableKeyError`: it describes none that may be used.
    """
    if untrusted.get("kty") != "RSA":
        raise UnusableKeyError("kty is not RSA")
    if not PRIVATE_MEMBERS.isdisjoint(untrusted):
        raise UnusableKeyError("has private members")
    if untrusted.get("use", "sig") != "sig":
        raise UnusableKeyError("use is not sig")
    if untrusted.get("alg") != ALGORITHM:
        raise UnusableKeyError(f"alg is not {ALGORITHM}")
    match untrusted.get("key_ops", ["verify"]):
        case [*operations] if "verify" in operations:
            pass
        case _:
            raise UnusableKeyError("key_ops does not allow verify")
    match untrusted.get("kid"):
        case str(kid) if 0 < len(kid) <= MAX_KID_LENGTH:
            return VerificationKey(kid, _public_key(untrusted))
        case _:
            raise UnusableKeyError("kid is not a short string")


def public_jwk(key: VerificationKey) -> dict[str, str]:
    """Return the key as the JWK that an issuer publishes."""
    numbers = key.public_key.public_numbers()
    return {
        "kty": "RSA",
        "use": "sig",
        "alg": ALGORITHM,
        "kid": key.kid,
        "n": _encode_integer(numbers.n),
        "e": _encode_integer(numbers.e),
    }


def thumbprint(public_key: RSAPublicKey) -> str:
    """Return the key's SHA-256 thumbprint, which names it (RFC 7638)."""
    numbers = public_key.public_numbers()
    members = {
        "e": _encode_integer(numbers.e),
        "kty": "RSA",
        "n": _encode_integer(numbers.n),
    }
    canonical = json.dumps(members, separators=(",", ":")).encode()
    return base64url.encode(hashlib.sha256(canonical).digest())


def verification_key(public_key: RSAPublicKey) -> VerificationKey:
    """Return the key under the name that its thumbprint gives it."""
    return VerificationKey(thumbprint(public_key), public_key)


def _public_key(untrusted: Mapping[str, Any]) -> RSAPublicKey:
    if _decode_integer(untrusted.get("e")) != PUBLIC_EXPONENT:
        raise UnusableKeyError(f"e is not {PUBLIC_EXPONENT}")
    modulus = _decode_integer(untrusted.get("n"))
    if not MIN_MODULUS_BITS <= modulus.bit_length() <= MAX_MODULUS_BITS:
        raise UnusableKeyError(f"n has {modulus.bit_length()} bits")
    try:
        return RSAPublicNumbers(PUBLIC_EXPONENT, modulus).public_key()
    except ValueError as error:
        raise UnusableKeyError("n is not a modulus") from error


def _encode_integer(number: int) -> str:
    return base64url.encode(number.to_bytes((number.bit_length() + 7) // 8))


def _decode_integer(untrusted: object) -> int:
    """Read a Base64urlUInt: canonical, and without leading zero bytes."""
    if not isinstance(untrusted, str):
        raise UnusableKeyError("a number is not a string")
    try:
        data = base64url.decode(untrusted)
    except ValueError as error:
        raise UnusableKeyError("a number is not base64url") from error
    if data.startswith(b"\0"):
        raise UnusableKeyError("a number has a leading zero byte")
    return int.from_bytes(data)
