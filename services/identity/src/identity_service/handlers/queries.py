"""Read the query strings of lists."""

from datetime import UTC, datetime
from typing import Final

from aiohttp import web

from identity_service.handlers.payloads import invalid_member
from service_kit.problems import ProblemError

_MOST_DIGITS: Final = 18
"""Any such number fits every database."""

_LONGEST_TEXT: Final = 256


def refuse_parameters(request: web.Request) -> None:
    """Refuse a query string where there is nothing to ask for.

    Raises
    ------
    ProblemError
    """
    for name in request.query:
        raise ProblemError(invalid_member(name[:64], "There is no such parameter."))


def text(request: web.Request, name: str) -> str | None:
    """Return a parameter, None if it is absent or empty; it stands once, and is short.

    Raises
    ------
    ProblemError
    """
    match request.query.getall(name, []):
        case [] | [""]:
            return None
        case [value] if len(value) <= _LONGEST_TEXT and value.isprintable():
            return value
        case _:
            raise ProblemError(invalid_member(name, "This must be one short text."))


def whole_number(
    request: web.Request, name: str, *, least: int = 0, most: int = 10**_MOST_DIGITS
) -> int | None:
    """Return a parameter that is a whole number, None if it is absent."""
    value = text(request, name)
    if value is None:
        return None
    if not (value.isascii() and value.isdigit() and len(value) <= _MOST_DIGITS):
        raise ProblemError(invalid_member(name, "This must be a whole number."))
    if not least <= int(value) <= most:
        raise ProblemError(
            invalid_member(name, f"This must be from {least} to {most}.")
        )
    return int(value)


def instant(request: web.Request, name: str) -> datetime | None:
    """Return a parameter that is an RFC 3339 moment, None if it is absent.

    A plus sign that came as a space is taken for what it was.
    """
    value = text(request, name)
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(value.replace(" ", "+"))
        if moment.tzinfo is not None:
            return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise ProblemError(
        invalid_member(name, "This must be a moment, such as 2026-01-31T12:00:00Z.")
    )
