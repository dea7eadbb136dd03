"""Which header fields of an upstream's response pass to the client.

Fields that speak of one hop (RFC 9110, 7.6.1), or that only the gateway may set, are
removed; all others pass unchanged.
"""

from typing import Final

from gateway_service.http1.parsing.fields import FieldPolicy

_READ_OF_RESPONSES: Final = frozenset(
    {b"connection", b"content-length", b"date", b"transfer-encoding", b"upgrade"}
)

_INSIDE_NAMES: Final = frozenset(
    {b"alt-svc", b"server", b"via", b"x-powered-by", b"x-request-id"}
)
"""Fields that describe the inside, or lead around the gateway."""


def _belongs_inside(name: bytes) -> bool:
    """Whether an upstream must not send a field to clients."""
    return name in _INSIDE_NAMES or name.startswith(b"access-control-")


RESPONSE_FIELDS: Final = FieldPolicy(_READ_OF_RESPONSES, _belongs_inside)
