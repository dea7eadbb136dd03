"""Problems: what clients get when something fails (RFC 9457).

`common` and `accounts` declare every problem of the product, each once. A service
refers to them, and fits one to its case with `dataclasses.replace`.
"""

from service_kit.problems.common import INTERNAL_ERROR
from service_kit.problems.problem import (
    FieldError,
    Problem,
    ProblemError,
    phrase_of,
    retry_in,
)
from service_kit.problems.registry import PROBLEMS
from service_kit.problems.responses import (
    MEDIA_TYPE,
    SECURITY_HEADERS,
    ProblemTable,
    language_headers,
    problem_body,
    problem_mapper,
    problem_of_status,
    problem_response,
)

__all__ = [
    "INTERNAL_ERROR",
    "MEDIA_TYPE",
    "PROBLEMS",
    "SECURITY_HEADERS",
    "FieldError",
    "Problem",
    "ProblemError",
    "ProblemTable",
    "language_headers",
    "phrase_of",
    "problem_body",
    "problem_mapper",
    "problem_of_status",
    "problem_response",
    "retry_in",
]
