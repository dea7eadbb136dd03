"""What a client would like, and may do without (RFC 7240)."""

import re
from typing import Final

from aiohttp import web

PREFERENCE_APPLIED: Final = "Preference-Applied"
"""The response's header with the preferences that were granted."""

_LISTED: Final = re.compile(r'(?:"(?:\\.|[^"\\])*+"?|[^",])++')
"""One of a list; a comma within quotes is part of it."""

_PREFERENCE: Final = re.compile(
    r'\s*+([!#$%&\'*+.^_`|~0-9a-z-]++)\s*+=\s*+"?([^";\s]*+)"?\s*+(?:;.*+)?',
    re.ASCII | re.IGNORECASE,
)


def preference(request: web.Request, name: str) -> str | None:
    """Return the value of a preference; of several, the first counts."""
    for field in request.headers.getall("Prefer", ()):
        for each in _LISTED.findall(field):
            found = _PREFERENCE.fullmatch(each)
            if found is not None and found[1].lower() == name:
                return found[2]
    return None
