"""Which header fields of a request pass to an upstream.

Fields that speak of one hop (RFC 9110, 7.6.1), or that only the gateway may say, are
taken out; all others pass byte for byte.
"""

from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from gateway_service.http1.parsing.fields import (
    HOP_BY_HOP,
    READ_OF_REQUESTS,
    FieldPolicy,
)

_PASSED_TOO: Final = frozenset(
    {
        b"accept",
        b"access-control-request-headers",
        b"access-control-request-method",
        b"origin",
        b"prefer",
    }
)
"""Fields that are read, and pass as they are."""

_READ_OF_REQUESTS: Final = (
    READ_OF_REQUESTS
    | _PASSED_TOO
    | {
        b"forwarded",
        b"max-forwards",
        b"traceparent",
        b"tracestate",
        b"via",
        b"x-forwarded-for",
        b"x-forwarded-host",
        b"x-forwarded-proto",
    }
)
"""What an upstream should see of these is rewritten, except `_PASSED_TOO`."""

_ONLY_WITH: Final = {b"accept": b"text/event-stream"}
"""Most requests have Accept; it is read of those that ask for a stream of events."""

_SAID_BY_THE_GATEWAY: Final = (
    "content-length",
    "forwarded",
    "x-forwarded-*",
    "x-real-ip",
    "x-request-id",
    "x-request-start",
)

_STANDARD: Final = frozenset(
    b"""
    accept-charset accept-encoding accept-language cache-control content-disposition
    content-encoding content-language content-location content-range content-type
    idempotency-key if-match if-modified-since if-none-match if-range
    if-unmodified-since sec-fetch-dest sec-fetch-mode sec-fetch-site sec-fetch-user
    sec-websocket-extensions sec-websocket-key sec-websocket-protocol
    sec-websocket-version user-agent x-access-token x-api-key x-csrf-token
    x-requested-with x-xsrf-token
    """.split()
)
"""Known names with a hyphen, which CGI and its heirs confuse with other signs."""

_SIGNS: Final = b"!#$%&'*+.^_`|~"
"""What a name may hold beside letters, digits and hyphens (RFC 9110, 5.6.2)."""
_HYPHENATED: Final = bytes.maketrans(_SIGNS, b"-" * len(_SIGNS))


@lru_cache(maxsize=8)
def request_fields(dropped: tuple[str, ...]) -> FieldPolicy:
    """Return the policy that takes out these names too; `*` ends a beginning of some.

    Any other sign counts as a hyphen wherever that makes a known name.
    """
    names, beginnings = _split((*_SAID_BY_THE_GATEWAY, *dropped))
    known = _READ_OF_REQUESTS | HOP_BY_HOP | _STANDARD

    def is_dropped(name: bytes) -> bool:
        hyphenated = name.translate(_HYPHENATED)
        return (
            hyphenated in names
            or hyphenated.startswith(beginnings)
            or (hyphenated != name and hyphenated in known)
        )

    return FieldPolicy(_READ_OF_REQUESTS, is_dropped, _PASSED_TOO, _ONLY_WITH)


def _split(patterns: Iterable[str]) -> tuple[frozenset[bytes], tuple[bytes, ...]]:
    """Return the whole names, and the beginnings of names."""
    encoded = [each.lower().encode("ascii") for each in patterns]
    return (
        frozenset(
            each.translate(_HYPHENATED) for each in encoded if not each.endswith(b"*")
        ),
        tuple(
            each[:-1].translate(_HYPHENATED) for each in encoded if each.endswith(b"*")
        ),
    )
