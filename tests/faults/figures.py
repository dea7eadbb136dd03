"""How hard and how long an experiment is: short in every run, long by `make faults`."""

import logging
from dataclasses import dataclass
from typing import Final

import pytest


@dataclass(frozen=True)
class Figures:
    rate: float
    """Requests a second."""
    warm: float
    fault: float
    recovery: float
    """Seconds."""


SHORT: Final = Figures(rate=100, warm=0.5, fault=2, recovery=0.5)
LONG: Final = Figures(rate=200, warm=10, fault=30, recovery=10)

BOTH: Final = [
    pytest.param(SHORT, id="short"),
    pytest.param(LONG, id="long", marks=[pytest.mark.faults, pytest.mark.timeout(300)]),
]


def tell(*findings: object) -> None:
    """Show what was measured; ``--log-cli-level=INFO`` shows it at once."""
    logging.getLogger("faults").info(" | ".join(map(str, findings)))
