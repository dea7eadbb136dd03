"""Conditional responses (RFC 9110 section 13) with documents common to all clients."""

import hashlib
from typing import Final

from aiohttp import ETag, hdrs, web

REVALIDATE: Final = "no-cache"
"""May be stored, but is asked for each time: a matching ETag costs one header."""

_ETAG_LENGTH: Final = 32
"""Hex digits."""


def conditional_response(
    request: web.Request,
    body: bytes,
    *,
    media_type: str,
    cache_control: str,
    content_encoding: str | None = None,
    vary: str | None = None,
    version: str | None = None,
) -> web.Response:
    """Return the body, or 304 if the client has it.

    ``version`` names what the body says, where bodies that differ may say the same:
    the ETag is a weak one then. Otherwise it is of this very body.
    """
    value = version or hashlib.sha256(body).hexdigest()[:_ETAG_LENGTH]
    etag = ETag(value, is_weak=version is not None)
    if any(known.value in {value, "*"} for known in request.if_none_match or ()):
        response = web.Response(status=304)
    else:
        response = web.Response(body=body, headers={hdrs.CONTENT_TYPE: media_type})
        if content_encoding is not None:
            response.headers[hdrs.CONTENT_ENCODING] = content_encoding
    if vary is not None:
        response.headers[hdrs.VARY] = vary
    response.headers[hdrs.CACHE_CONTROL] = cache_control
    response.etag = etag
    return response


def accepts_gzip(request: web.Request) -> bool:
    """Return whether the client names gzip as acceptable (RFC 9110 section 12.5.3)."""
    for item in request.headers.get(hdrs.ACCEPT_ENCODING, "").lower().split(","):
        coding, *parameters = (part.strip() for part in item.split(";"))
        if coding == "gzip":
            return not any(_is_zero(parameter) for parameter in parameters)
    return False


def _is_zero(parameter: str) -> bool:
    name, _, weight = parameter.replace(" ", "").partition("=")
    return name == "q" and weight.strip("0") in {"", "."}
