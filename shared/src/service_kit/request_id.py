"""One name for a request on its whole way."""

import random
import re
from contextvars import ContextVar
from typing import Final

from multidict import istr

HEADER: Final = istr("X-Request-Id")

request_id: ContextVar[str] = ContextVar("request_id", default="-")
"""The id of the request being served by this task."""

_ACCEPTABLE: Final = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
_BITS: Final = 96
"""No two requests meet, and the id stays short in a log line."""


def new_request_id() -> str:
    """Return an id that no other request has."""
    return f"{random.getrandbits(_BITS):024x}"


def accepted_request_id(untrusted: str | None) -> str:
    """Return the id a peer sent if it is one, else a new one."""
    if untrusted is not None and _ACCEPTABLE.fullmatch(untrusted):
        return untrusted
    return new_request_id()
