"""Which language a client prefers (RFC 9110 section 12.5.4, RFC 4647 section 3.4)."""

from collections.abc import Iterable
from contextvars import ContextVar
from functools import lru_cache
from typing import Final

from service_kit.languages.text import ENGLISH, LANGUAGES

_ANY: Final = "*"
"""Every language that no other range names."""

_LONGEST: Final = 256
"""Characters of a field that is read; browsers send some fifty."""

preferred_language: ContextVar[str] = ContextVar("preferred_language", default=ENGLISH)
"""The preferred language of the request being served."""


def language_of(accepted: Iterable[str]) -> str:
    """Return the language of ours that ``Accept-Language`` fields prefer."""
    return _language_of(",".join(accepted)[:_LONGEST])


@lru_cache(maxsize=256)
def _language_of(accepted: str) -> str:
    """Return the acceptable language of the greatest weight, the first of equals.

    English is the fallback for languages that are not ours.
    """
    weights: dict[str, float] = {}
    for element in accepted.split(","):
        language_range, *parameters = element.split(";")
        primary = language_range.strip().lower().partition("-")[0]
        if primary in {*LANGUAGES, _ANY}:
            weights[primary] = max(_weight(parameters), weights.get(primary, 0.0))
    others = weights.pop(_ANY, 0.0)
    best = max((*weights, *LANGUAGES), key=lambda each: weights.get(each, others))
    return best if weights.get(best, others) else ENGLISH


def _weight(parameters: list[str]) -> float:
    """Return the ``q`` of an element: 1 without one, 0 for what is no weight."""
    for parameter in parameters:
        name, _, value = parameter.strip().partition("=")
        if name.strip().lower() == "q":
            try:
                return float(value) if 0 <= float(value) <= 1 else 0.0
            except ValueError:
                return 0.0
    return 1.0
