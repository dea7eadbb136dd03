"""Which header fields of a request pass to an upstream.

Fields that speak of one hop (RFC 9110, 7.6.1), or that only the gateway may say, are
taken out; all others pass byte for byte.
"""

from typing import Final

from gateway_service.http1.parsing.fields import READ_OF_REQUESTS, FieldPolicy

_READ_OF_REQUESTS: Final = READ_OF_REQUESTS | {
    b"access-control-request-method",
    b"forwarded",
    b"max-forwards",
    b"origin",
    b"prefer",
    b"via",
    b"x-forwarded-for",
    b"x-forwarded-proto",
}
"""What an upstream should see of these is written anew."""

_CLAIMS: Final = (b"x-forwarded-", b"x-original-", b"x-role", b"x-user")
"""Beginnings of names that an upstream might take for who or what a request is."""

_CLAIM_NAMES: Final = frozenset(
    {b"content-length", b"forwarded", b"x-real-ip", b"x-request-id", b"x-rewrite-url"}
)


def _claims_to_be_the_gateway(name: bytes) -> bool:
    """Whether a client would speak for the gateway.

    An underscore counts as a hyphen, because CGI and its heirs confuse the two.
    """
    name = name.replace(b"_", b"-")
    return name in _CLAIM_NAMES or name.startswith(_CLAIMS)


REQUEST_FIELDS: Final = FieldPolicy(_READ_OF_REQUESTS, _claims_to_be_the_gateway)
