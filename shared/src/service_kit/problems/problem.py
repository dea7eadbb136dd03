"""Problem details of a failure (RFC 9457)."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Final

from service_kit.languages.text import Text, duration

_RENAMED: Final = {
    HTTPStatus(413): "Content Too Large",
    HTTPStatus(414): "URI Too Long",
    HTTPStatus(416): "Range Not Satisfiable",
    HTTPStatus(422): "Unprocessable Content",
}
"""The names of RFC 9110, which Python knows from 3.13 on."""


def phrase_of(status: HTTPStatus) -> str:
    """Return the name of a status (RFC 9110, 15), the same on every Python."""
    return _RENAMED.get(status, status.phrase)


@dataclass(frozen=True, slots=True)
class FieldError:
    """What is wrong with one member or parameter of a request."""

    name: str
    """As the request calls it."""
    code: str
    """A stable machine word."""
    message: Text
    parameters: Mapping[str, object] = field(default_factory=dict)
    """What the code says exactly, for programs: a limit, a name."""

    def members(self, language: str) -> dict[str, object]:
        """Return the entry of a problem's ``errors``."""
        return {
            "field": self.name,
            "code": self.code,
            "message": self.message.in_language(language),
            "parameters": dict(self.parameters),
        }


@dataclass(frozen=True, slots=True)
class Problem:
    """One kind of failure; `dataclasses.replace` fits it to a case."""

    status: HTTPStatus
    code: str
    """A stable machine word."""
    message: str
    """For people, the template of a `Text`; the tutorial's clients show it."""
    why: str
    """The cause, for the problem's page."""
    advice: str
    """What the developer or operator of a client should do; for the problem's page."""
    headers: Mapping[str, str] = field(default_factory=dict)
    members: Mapping[str, object] = field(default_factory=dict)
    """Further members of the body."""
    parameters: Mapping[str, object] = field(default_factory=dict)
    """Of the message."""
    errors: tuple[FieldError, ...] = ()
    """One for each member or parameter of the request that is at fault."""

    @property
    def title(self) -> str:
        """The code in words."""
        return self.code.replace("_", " ").capitalize()

    @property
    def text(self) -> Text:
        """The message with its parameters."""
        return Text(self.message, self.parameters)

    def with_parameters(self, **parameters: object) -> "Problem":
        """Return the problem with parameters of its message."""
        return replace(self, parameters=parameters)

    def at(self, name: str) -> "Problem":
        """Return the problem as the fault of one member of the request."""
        error = FieldError(name, self.code, self.text, self.parameters)
        return replace(self, errors=(error,))


def retry_in(problem: Problem, seconds: int) -> Problem:
    """Return a problem that says when to try again: for people, and for clients."""
    return replace(
        problem,
        parameters={"wait": duration(seconds)},
        headers={**problem.headers, "Retry-After": str(seconds)},
    )


class ProblemError(Exception):
    """Carries the problem that the client gets."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.code)
        self.problem = problem
