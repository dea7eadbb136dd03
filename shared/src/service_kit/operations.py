"""Endpoints, each declared once: the handler, who may call it, and its responses.

A service runs its operations by their `Operation.route`; the API's document is made
from the same declarations. Models are any classes that the document's maker knows.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from http import HTTPStatus
from types import ModuleType
from typing import Final

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from service_kit.problems import Problem
from service_kit.requests.bodies import JSON

TEXT: Final = "text/plain; charset=utf-8"


class Tag(Enum):
    """What operations are about: their groups in the document."""

    SIGN_IN = "Signing in"
    ACCOUNT = "My account"
    CONTENT = "Content"
    ADMINISTRATION = "Administration"
    TOKENS = "Tokens"
    PAGES = "Pages"
    DEVELOPMENT = "Development"

    @property
    def description(self) -> str:
        """What stands at the head of the group."""
        return _TAGS[self]


_TAGS: Final = {
    Tag.SIGN_IN: "Sign up, sign in, refresh and sign out.",
    Tag.ACCOUNT: "What users see and change of their own.",
    Tag.CONTENT: "Resources, each with whom it is for.",
    Tag.ADMINISTRATION: "Users, roles and the audit log, for administrators.",
    Tag.TOKENS: "What services need to verify and to revoke tokens.",
    Tag.PAGES: "Pages for people, and this document.",
    Tag.DEVELOPMENT: "There on a developer's own machine alone; 404 elsewhere.",
}


class CredentialsKind(Enum):
    """What a caller has to show."""

    NONE = auto()
    ACCESS_TOKEN = auto()
    CLIENT_SECRET = auto()


@dataclass(frozen=True, slots=True)
class Access:
    """Who may call an operation."""

    credentials: CredentialsKind
    role: str | None = None
    """The role that the caller has to have."""


ANYBODY: Final = Access(CredentialsKind.NONE)
"""An access token is ignored."""
USERS: Final = Access(CredentialsKind.ACCESS_TOKEN)
CLIENTS: Final = Access(CredentialsKind.CLIENT_SECRET)
"""Services that introspect tokens."""


def users_with(role: str) -> Access:
    """Return the access of users who have a role."""
    return Access(CredentialsKind.ACCESS_TOKEN, role)


@dataclass(frozen=True, slots=True)
class PathParameter:
    """A part of a path that varies."""

    description: str
    example: str | int


@dataclass(frozen=True, slots=True)
class Reply:
    """A response that is no problem."""

    model: type | None = None
    """Of a JSON body."""
    status: HTTPStatus = HTTPStatus.OK
    media_type: str | None = JSON
    """None where there is no body."""
    example: object = None
    """Of a body without a model."""
    headers: tuple[str, ...] = ()
    """Fields that callers rely on, in addition to those of every response."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One endpoint."""

    name: str
    """What clients that are made from the document call it."""
    method: str
    path: str
    """As aiohttp has it: ``{name}`` or ``{name:regular expression}`` may vary."""
    handler: Handler
    summary: str
    description: str = ""
    tag: Tag
    access: Access
    path_parameters: Mapping[str, PathParameter] = field(default_factory=dict)
    query: type | None = None
    """The model of the query string; without one it has to be empty."""
    ignores_unknown_parameters: bool = False
    """As the tutorial's endpoints do."""
    body: type | None = None
    """The model of the request's body."""
    body_types: tuple[str, ...] = (JSON,)
    replies: tuple[Reply, ...] = (Reply(),)
    problems: tuple[Problem, ...] = ()
    """Those of this operation alone. What every request, every body or every access
    token may run into is known from the other members."""

    @property
    def route(self) -> web.RouteDef:
        """What `aiohttp.web.Application.add_routes` takes; GET stands for HEAD too."""
        if self.method == hdrs.METH_GET:
            return web.get(self.path, self.handler)
        return web.route(self.method, self.path, self.handler)


def operations_in(modules: Iterable[ModuleType]) -> tuple[Operation, ...]:
    """Return every operation that modules declare, in the order of declaration."""
    return tuple(
        value
        for module in modules
        for value in vars(module).values()
        if isinstance(value, Operation) and value.handler.__module__ == module.__name__
    )
