"""Say why a connection could not be made, or broke, in words for the operator."""

import socket
import ssl
from collections.abc import Iterator
from typing import Final

_KINDS: Final[tuple[tuple[type[BaseException], str], ...]] = (
    (socket.gaierror, "unknown host"),
    (ConnectionRefusedError, "connection refused"),
    (ssl.SSLError, "TLS: handshake failed"),
    (TimeoutError, "no response in time"),
    (ConnectionError, "the connection was lost"),
)
"""The first that one of the causes is."""


def connection_fault(error: BaseException) -> str | None:
    """Return why, without an address; None where it is something else."""
    causes = [*chain(error)]
    for cause in causes:
        if fault := getattr(cause, "verify_message", ""):
            return f"TLS: its certificate is not trusted: {fault}"
        if isinstance(cause, socket.gaierror) and cause.errno == socket.EAI_AGAIN:
            return "no name server responds"
    for kind, words in _KINDS:
        if any(isinstance(cause, kind) for cause in causes):
            return words
    return None


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and what caused it."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        replaced = None if error.__suppress_context__ else error.__context__
        error = error.__cause__ or replaced
