"""What a client learns of a failure (RFC 9457)."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Final

_UNITS: Final = (("day", 86_400), ("hour", 3600), ("minute", 60), ("second", 1))
"""With their lengths in seconds."""


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


def retry_in(problem: Problem, seconds: int) -> Problem:
    """Return a problem that says when to try again: for people, and for clients."""
    message = problem.message.format(wait=_in_words(seconds))
    headers = {**problem.headers, "Retry-After": str(seconds)}
    return replace(problem, message=message, headers=headers)


def _in_words(seconds: int) -> str:
    """Return a duration in one unit, never shorter than it is."""
    unit, size = next(
        (unit, size) for unit, size in _UNITS if seconds >= 2 * size or size == 1
    )
    amount = -(-seconds // size)
    return f"{amount} {unit}{'' if amount == 1 else 's'}"


class ProblemError(Exception):
    """Raised by whoever knows the problem that the client gets."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.code)
        self.problem = problem
