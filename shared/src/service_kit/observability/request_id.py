"""The id of a request, the same in every service."""

import random
import re
from contextvars import ContextVar
from typing import Final

from multidict import istr

HEADER: Final = istr("X-Request-Id")

NO_REQUEST: Final = "-"
"""In place of an id, outside of requests."""

request_id: ContextVar[str] = ContextVar("request_id", default=NO_REQUEST)
"""The id of the request being served by this task."""

client_request_id: ContextVar[str | None] = ContextVar(
    "client_request_id", default=None
)
"""The id that a client gave its request, which no gateway of ours has vouched for."""

_ACCEPTABLE: Final = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
_BYTES: Final = 16
"""As many as a trace id has: a request that came without a trace begins its own."""


def leave_request() -> None:
    """Log this task's lines without a request id, for work that outlives one."""
    request_id.set(NO_REQUEST)


def new_request_id() -> str:
    """Return an id that no other request has; it is no secret."""
    return random.getrandbits(8 * _BYTES).to_bytes(_BYTES).hex()


def name_request(untrusted: str | None, *, from_gateway: bool) -> str:
    """Give the request being served a name and return it.

    A gateway's word counts. What a client says of itself is kept beside a new id: it
    could say the id of somebody else's request.
    """
    acceptable = untrusted if untrusted and _ACCEPTABLE.fullmatch(untrusted) else None
    name = acceptable if from_gateway and acceptable else new_request_id()
    request_id.set(name)  # aiohttp runs each request in a context of its own
    if acceptable and not from_gateway:
        client_request_id.set(acceptable)
    return name
