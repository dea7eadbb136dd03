"""A published set of keys, read with suspicion (RFC 7517 section 5)."""

import logging
from typing import Any, Final

from service_kit.strict_json import parse_object
from service_kit.tokens.jwk import UnusableKeyError, parse_jwk
from service_kit.tokens.key_set import VerificationKey

MAX_BYTES: Final = 256 * 1024
"""An RSA-3072 key takes some 700 bytes."""

MAX_KEYS: Final = 64
"""An issuer has two or three at a time."""

_logger: Final = logging.getLogger(__name__)


def parse_jwks(untrusted: bytes) -> dict[str, VerificationKey]:
    """Return the usable keys by kid; keys for other purposes are passed over.

    Raises `ValueError`: it is no JWKS, it holds too many keys or no usable one, or a
    kid twice: adding a second key of the same name must not replace the first.
    """
    entries = parse_object(untrusted).get("keys")
    if not isinstance(entries, list) or not all(isinstance(e, dict) for e in entries):
        raise ValueError("not a JWKS")
    if len(entries) > MAX_KEYS:
        raise ValueError(f"more than {MAX_KEYS} keys")
    kids = [str(entry["kid"]) for entry in entries if "kid" in entry]
    if len(kids) != len(set(kids)):
        raise ValueError("a kid stands twice")
    keys = {key.kid: key for key in map(_usable, entries) if key is not None}
    if not keys:
        raise ValueError("no usable key")
    return keys


def _usable(untrusted: dict[str, Any]) -> VerificationKey | None:
    try:
        return parse_jwk(untrusted)
    except UnusableKeyError as error:
        _logger.warning("key_refused", extra={"reason": str(error)})
        return None
