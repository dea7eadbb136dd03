"""Types of members, with what the API's document says of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from pydantic import Field, GetJsonSchemaHandler, PlainSerializer, StringConstraints
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from identity_service.domain.accounts.emails import EMAIL_MAX_LENGTH
from identity_service.domain.accounts.passwords import PASSWORD_MAX_LENGTH
from identity_service.domain.accounts.roles import (
    MOST_DESCRIPTION,
    MOST_ROLES,
    ROLE_NAME,
)
from identity_service.domain.accounts.usernames import USERNAME_MAX_LENGTH

MOST_ID: Final = 2**53 - 1
"""Any number up to this fits every database, and JavaScript."""

_ROLE_IN_RESPONSES: Final = "ROLE_"


@dataclass(frozen=True, slots=True, eq=False)
class Described:
    """Adds to the schema of a type what others than its model see to."""

    schema: Mapping[str, Any]

    def __get_pydantic_json_schema__(
        self, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Return the schema with these members."""
        return {**handler(core_schema), **self.schema}


def described(**members: object) -> Described:
    """Return an annotation with members of JSON Schema; ``example`` is one example."""
    example = members.pop("example", None)
    examples = {} if example is None else {"examples": [example]}
    return Described({**members, **examples})


def text(most: int, example: str, **members: object) -> Described:
    """Return the annotation of a text of at most so many characters."""
    return described(maxLength=most, example=example, **members)


Trimmed = Annotated[str, StringConstraints(strip_whitespace=True)]
"""A name or an address: keyboards and forms put spaces around it."""

UsernameText = Annotated[Trimmed, text(USERNAME_MAX_LENGTH, "alice", minLength=1)]
EmailText = Annotated[Trimmed, text(EMAIL_MAX_LENGTH, "alice@example.com", minLength=3)]
PasswordText = Annotated[
    str, text(PASSWORD_MAX_LENGTH, "a lamp, a fern, a quiet river", format="password")
]
RoleText = Annotated[
    str, text(37, "user", pattern="^(ROLE_)?[A-Za-z][A-Za-z0-9_-]{0,31}$")
]
RoleNameText = Annotated[str, text(32, "editor", pattern=f"^{ROLE_NAME}$")]
DescriptionText = Annotated[str, text(MOST_DESCRIPTION, "Edits texts.", minLength=1)]
Roles = Annotated[
    list[RoleText], Field(max_length=MOST_ROLES), described(maxItems=MOST_ROLES)
]
RolesInResponses = Annotated[
    list[
        Annotated[
            str, text(37, "ROLE_USER", pattern=f"^{_ROLE_IN_RESPONSES}[A-Z0-9_-]+$")
        ]
    ],
    described(maxItems=MOST_ROLES),
]

Words = Annotated[
    list[Annotated[str, text(64, "none")]], described(minItems=1, maxItems=16)
]
"""Values that a specification lists, such as those of ``amr``."""

AccessTokenText = Annotated[
    str,
    text(
        8192,
        "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl",
        pattern=r"^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$",
    ),
]
RefreshTokenText = Annotated[str, text(72, "0123456789abcdef" * 4 + "ABCDEFGH")]
TokenText = Annotated[str, text(8192, "0123456789abcdef" * 4 + "ABCDEFGH", minLength=1)]
"""A token of either kind."""
MailedTokenText = Annotated[str, text(64, "0123456789abcdef" * 4)]
"""A token that was mailed."""
CodeText = Annotated[
    str, StringConstraints(strip_whitespace=True), text(64, "01234567")
]
"""A code that a person copies."""
TokenTypeText = Annotated[
    str, described(enum=["access_token", "refresh_token"], example="refresh_token")
]
ClientText = Annotated[str, text(256, "orders")]

Id = Annotated[int, described(format="int64", minimum=1, maximum=MOST_ID, example=2)]
Number = Annotated[
    int, described(format="int64", minimum=-MOST_ID, maximum=MOST_ID, example=1)
]
Count = Annotated[
    int, described(format="int64", minimum=0, maximum=2**31 - 1, example=1)
]
SessionId = Annotated[
    str, text(32, "00112233445566778899aabbccddeeff", pattern="^[0-9a-f]{32}$")
]
Cursor = Annotated[str, text(19, "50", pattern="^[0-9]+$")]
MessageText = Annotated[str, text(500, "Done.")]


def moment(at: datetime) -> str:
    """Return a moment as RFC 3339 text in UTC."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


Moment = Annotated[
    datetime,
    PlainSerializer(moment, return_type=str),
    text(32, "2026-01-31T12:00:00.000Z", format="date-time"),
]
