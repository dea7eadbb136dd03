"""Read the query strings of lists."""

import functools
from datetime import UTC, datetime
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler

from identity_service.handlers.payloads import invalid_parameter
from service_kit.problems import ProblemError

MAX_DIGITS: Final = 18
"""Any number of so many digits fits every database."""

MAX_PAGE: Final = 200
_DEFAULT_PAGE: Final = 50
_MAX_TEXT_LENGTH: Final = 256


def without_parameters(handler: Handler) -> Handler:
    """Return the handler of a path whose query string must be empty."""

    @functools.wraps(handler)
    async def strict(request: web.Request) -> web.StreamResponse:
        Query(request)
        return await handler(request)

    return strict


class Query:
    """The parameters of a list, strictly: known ones, each given at most once.

    Each method returns None where its parameter is absent or empty, and raises
    `ProblemError` where it is not what it should be.
    """

    def __init__(self, request: web.Request, *known: str) -> None:
        self._query = request.query
        for name in self._query:
            if name not in known:
                raise ProblemError(invalid_parameter(name[:64], "is unknown here."))

    def text(self, name: str) -> str | None:
        """Return a short text without control characters and without outer spaces."""
        match [value.strip(" ") for value in self._query.getall(name, [])]:
            case [] | [""]:
                return None
            case [value] if len(value) <= _MAX_TEXT_LENGTH and value.isprintable():
                return value
            case _:
                raise ProblemError(invalid_parameter(name, "must be one short text."))

    def whole_number(
        self, name: str, *, least: int = 0, most: int = 10**MAX_DIGITS
    ) -> int | None:
        """Return a whole number within bounds."""
        value = self.text(name)
        if value is None:
            return None
        if not (value.isascii() and value.isdigit() and len(value) <= MAX_DIGITS):
            raise ProblemError(invalid_parameter(name, "must be a whole number."))
        if not least <= int(value) <= most:
            raise ProblemError(
                invalid_parameter(name, f"must be from {least} to {most}.")
            )
        return int(value)

    def limit(self) -> int:
        """Return how many entries a page may have."""
        return self.whole_number("limit", least=1, most=MAX_PAGE) or _DEFAULT_PAGE

    def instant(self, name: str) -> datetime | None:
        """Return an RFC 3339 moment.

        A plus sign that came as a space is taken for what it was.
        """
        value = self.text(name)
        if value is None:
            return None
        try:
            moment = datetime.fromisoformat(value.replace(" ", "+"))
            if moment.tzinfo is not None:
                return moment.astimezone(UTC)
        except (ValueError, OverflowError):
            pass
        raise ProblemError(
            invalid_parameter(name, "must be a moment, such as 2026-01-31T12:00:00Z.")
        )
