"""What a client learns of a failure (RFC 9457)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus


@dataclass(frozen=True, slots=True)
class Problem:
    """One kind of failure; `dataclasses.replace` fits it to a case."""

    status: HTTPStatus
    code: str
    """A stable machine word."""
    message: str
    """For people; the tutorial's clients show it."""
    advice: str
    """What whoever writes or runs the client does about it; for the reference."""
    headers: Mapping[str, str] = field(default_factory=dict)
    members: Mapping[str, object] = field(default_factory=dict)
    """Further members of the body."""


class ProblemError(Exception):
    """Raised by whoever knows the problem that the client gets."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.code)
        self.problem = problem
