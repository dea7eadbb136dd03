"""All problems there are."""

from typing import Final

from service_kit.problems import accounts, common
from service_kit.problems.problem import Problem

PROBLEMS: Final = tuple(
    sorted(
        (
            each
            for module in (accounts, common)
            for each in vars(module).values()
            if isinstance(each, Problem)
        ),
        key=lambda each: each.code,
    )
)
"""By code."""
