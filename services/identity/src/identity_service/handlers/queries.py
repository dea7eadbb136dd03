"""Read query strings: known parameters alone, each given at most once."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Final, TypeVar

from aiohttp import web
from multidict import MultiMapping
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
)

from identity_service.handlers.field_errors import (
    InvalidValueError,
    invalid_parameter,
    invalid_parameters,
)
from identity_service.handlers.schemas import MOST_ID, described, text
from service_kit.problems import ProblemError

MAX_DIGITS: Final = 18
"""Any number of so many digits fits every database."""

MAX_PAGE: Final = 200
DEFAULT_PAGE: Final = 50
_MAX_TEXT_LENGTH: Final = 256

Q = TypeVar("Q", bound=BaseModel)


def _digits(value: str) -> str:
    if not (value.isascii() and value.isdigit() and len(value) <= MAX_DIGITS):
        raise InvalidValueError("not_whole_number", "{name} must be a whole number.")
    return value


def _printable(value: str) -> str:
    if not value.isprintable():
        raise InvalidValueError("not_one_line", "{name} must be one short text.")
    return value


def _instant(value: str) -> datetime:
    """Return an RFC 3339 moment.

    A space stands for a plus sign that the client did not escape.
    """
    try:
        moment = datetime.fromisoformat(value.replace(" ", "+"))
        if moment.tzinfo is not None:
            return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise InvalidValueError(
        "not_a_moment", "{name} must be a date and time, such as 2026-01-31T12:00:00Z."
    )


ShortText = Annotated[
    str,
    StringConstraints(max_length=_MAX_TEXT_LENGTH),
    AfterValidator(_printable),
    text(_MAX_TEXT_LENGTH, "ali"),
]
WholeNumber = Annotated[
    int, Field(ge=0, le=MOST_ID), BeforeValidator(_digits), described(format="int64")
]
PageLength = Annotated[
    int, Field(ge=1, le=MAX_PAGE), BeforeValidator(_digits), described(format="int32")
]
Instant = Annotated[
    datetime,
    BeforeValidator(_instant),
    text(40, "2026-01-31T12:00:00Z", format="date-time"),
]


class Query(BaseModel):
    """The parameters of a query string. An empty one counts as absent."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, hide_input_in_errors=True, defer_build=True
    )


class PageQuery(Query):
    """Which part of a list to show."""

    limit: PageLength = DEFAULT_PAGE
    """How many entries a page may have."""
    cursor: WholeNumber | None = None
    """The ``nextCursor`` of the page before."""


class UsersQuery(PageQuery):
    """GET /api/users."""

    search: ShortText = ""
    """What words of a username or of an e-mail address begin with."""


class AuditLogQuery(PageQuery):
    """GET /api/audit."""

    actor: WholeNumber | None = None
    """The id of the user who did it."""
    subject: WholeNumber | None = None
    """The id of the user it was done to."""
    action: Annotated[ShortText, described(example="session.signed_in")] | None = None
    """What was done, such as ``session.signed_in``."""
    since: Instant | None = None
    """The earliest moment."""
    until: Instant | None = None
    """The moment before which it was."""


class StatusListQuery(Query):
    """GET /api/auth/statuslists/{name}."""

    time: ShortText | None = None
    """Another moment than now: of the present list alone is there a copy."""


def check_parameters(query: MultiMapping[str], model: type[BaseModel] | None) -> None:
    """Refuse parameters that a model does not have, or that are given twice.

    Raises `ProblemError`.
    """
    known: Mapping[str, object] = {} if model is None else model.model_fields
    for name in query:
        if name not in known:
            raise ProblemError(
                invalid_parameter(name, "unknown", "{name} is unknown here.")
            )
        if len(query.getall(name)) > 1:
            raise ProblemError(
                invalid_parameter(name, "repeated", "{name} is given more than once.")
            )


def read_query(request: web.Request, model: type[Q]) -> Q:
    """Return the query string as what it should be, or raise a `ProblemError`."""
    given = {name: value.strip(" ") for name, value in request.query.items()}
    try:
        return model.model_validate(
            {name: value for name, value in given.items() if value}
        )
    except ValidationError as error:
        raise ProblemError(invalid_parameters(error)) from None
