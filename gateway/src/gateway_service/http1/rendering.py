"""Responses as bytes: those made here, and the heads of relayed ones."""

import time
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from typing import Final

from service_kit.problems import (
    MEDIA_TYPE,
    SECURITY_HEADERS,
    Problem,
    language_headers,
    phrase_of,
    problem_body,
)

STATUS_LINES: Final = {
    int(status): f"HTTP/1.1 {int(status)} {phrase_of(status)}\r\n".encode("ascii")
    for status in HTTPStatus
}

CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
CONNECTION_CLOSE: Final = b"Connection: close\r\n"
UPGRADE: Final = b"Connection: upgrade\r\nUpgrade: websocket\r\n"

SECURITY_LINES: Final = "".join(
    f"{name}: {value}\r\n" for name, value in SECURITY_HEADERS.items()
).encode("ascii")
"""On every response that is made here."""

_PROBLEM_LINES: Final = (
    f"Content-Type: {MEDIA_TYPE}\r\nCache-Control: no-store\r\n".encode("ascii")
    + SECURITY_LINES
)


def status_line(status: int) -> bytes:
    """Return the first line of a response, with a phrase of our own."""
    return STATUS_LINES.get(status) or b"HTTP/1.1 %d \r\n" % status


def render_problem(
    problem: Problem, request_id: str, *, language: str, public_url: str
) -> tuple[bytes, bytes]:
    """Return header lines and body of a response with a problem."""
    fields = {**language_headers(problem, language), **problem.headers}
    extra = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    body = problem_body(problem, request_id, language=language, public_url=public_url)
    return _PROBLEM_LINES + extra.encode("ascii"), body


def date_line() -> bytes:
    """Return the Date field of this second."""
    return _date_line(int(time.time()))


@lru_cache(maxsize=1)
def _date_line(second: int) -> bytes:
    return f"Date: {formatdate(second, usegmt=True)}\r\n".encode("ascii")
