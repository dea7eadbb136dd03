"""Signed tokens in the compact form, before their claims are examined."""

import functools
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from service_kit.strict_json import parse_object
from service_kit.tokens import base64url
from service_kit.tokens.errors import InvalidTokenError, RefusalReason
from service_kit.tokens.jwk import ALGORITHM, MAX_KID_LENGTH
from service_kit.tokens.key_set import VerificationKey

_COMPACT: Final = re.compile(r"([\w-]{1,2048})\.([\w-]+)\.([\w-]+)", re.ASCII)
"""Three parts of base64url, nothing else (RFC 7515 section 7.1): no padding. Headers
have about 120 characters, and some are kept."""

_SCHEME: Final = re.compile(r"[A-Za-z]{1,20} ", re.ASCII)
"""What `Authorization` wants before a token, and other headers do not."""

_HEADERS_KEPT: Final = 64
"""An issuer has one header for each key and type; made-up ones push each other out."""

_END_OF_TIME: Final = datetime(9999, 1, 1, tzinfo=UTC).timestamp()
"""Python has no later year, and no token lives as long."""


class UntrustedJws(NamedTuple):
    """A token taken apart, with nothing proved about it but its form."""

    header: str
    payload: str
    signed: bytes
    signature: bytes


class VerifiedJws(NamedTuple):
    """What a trusted key has signed, and which key it was."""

    payload: dict[str, Any]
    key: VerificationKey


def take_apart(untrusted_token: str, *, max_length: int) -> UntrustedJws:
    """Return the parts of a token.

    Raises `InvalidTokenError`: it is of another form.
    """
    if len(untrusted_token) > max_length:
        raise InvalidTokenError("longer than a token may be")
    parts = _COMPACT.fullmatch(untrusted_token)
    if parts is None:
        if _SCHEME.match(untrusted_token):
            raise InvalidTokenError(
                "a scheme stands before the token", RefusalReason.SCHEME
            )
        raise InvalidTokenError("not three parts of base64url")
    header, payload, signature = parts.groups()
    signed = untrusted_token[: parts.end(2)].encode("ascii")
    return UntrustedJws(header, payload, signed, _decoded(signature))


def read_header(untrusted_part: str) -> dict[str, Any]:
    """Return a header that asks for RS256, and for nothing we don't know.

    Raises `InvalidTokenError`: it asks for another algorithm or for an extension.
    """
    header = _json(untrusted_part)
    if header.get("alg") != ALGORITHM:
        raise InvalidTokenError(f"alg is not {ALGORITHM}", RefusalReason.ALGORITHM)
    if "crit" in header or "b64" in header:
        raise InvalidTokenError("asks for an extension that is not understood")
    return header


def open_jws(jws: UntrustedJws, key: VerificationKey | None) -> VerifiedJws:
    """Return the payload of a token that the key of its kid has signed.

    Raises `InvalidTokenError`: there is no such key, the signature is another's, or of
    something else.
    """
    if key is None:
        raise InvalidTokenError("no trusted key has its kid", RefusalReason.UNKNOWN_KEY)
    if not key.has_signed(jws.signed, jws.signature):
        raise InvalidTokenError(
            "the signature is not its key's", RefusalReason.SIGNATURE
        )
    return VerifiedJws(_json(jws.payload), key)


def numeric_date(payload: Mapping[str, Any], name: str) -> datetime:
    """Read a NumericDate: a JSON number, never text or a truth value (RFC 7519)."""
    seconds = payload.get(name)
    if (
        isinstance(seconds, int | float)
        and not isinstance(seconds, bool)
        and 0 <= seconds < _END_OF_TIME
    ):
        return datetime.fromtimestamp(seconds, UTC)
    raise InvalidTokenError(f"{name} is not a NumericDate")


@functools.lru_cache(_HEADERS_KEPT)
def key_id(untrusted_header: str, media_type: str) -> str:
    """Return the kid of a header that fits; ``application/`` may be left out of typ.

    Nothing else in it chooses the key: ``jku``, ``x5u``, ``jwk`` and ``x5c`` are never
    looked at. All tokens of a key and a type have the same header, so it is judged
    once for all.
    """
    header = read_header(untrusted_header)
    match header.get("typ"):
        case str(typ) if typ.lower().removeprefix("application/") == media_type:
            pass
        case _:
            raise InvalidTokenError(f"typ is not {media_type}", RefusalReason.TYPE)
    match header.get("kid"):
        case str(kid) if 0 < len(kid) <= MAX_KID_LENGTH:
            return kid
        case _:
            raise InvalidTokenError("kid is not a short string")


def _decoded(untrusted_part: str) -> bytes:
    try:
        return base64url.decode(untrusted_part)
    except ValueError as error:
        raise InvalidTokenError("a part is not base64url") from error


def _json(untrusted_part: str) -> dict[str, Any]:
    data = _decoded(untrusted_part)
    try:
        return parse_object(data)
    except ValueError as error:
        raise InvalidTokenError("a part is not a strict JSON object") from error
