"""What came of faults under `Traffic`: a row each, and which criteria do not hold."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

from tests.support.traffic import CONTENT, IDENTITY, OK, Request

SERVICES: Final = (CONTENT, IDENTITY)

_EACH: Final = "requests failed for p99"

HEADS: Final = " | ".join(
    (
        f"{'experiment':32}",
        "took",
        f"content: {_EACH}",
        f"identity: {_EACH}",
        "criteria",
    )
)

TABLE: Final[list[str]] = []
"""The rows of this run, which `tests/compose/conftest.py` prints at its end."""


def of(service: str, requests: Sequence[Request]) -> list[Request]:
    """Return the requests of one service."""
    return [each for each in requests if each.service == service]


def span(requests: Sequence[Request]) -> float:
    """Return for how many seconds requests began that failed."""
    failed = [each.began_at for each in requests if each.outcome != OK]
    return max(failed) - min(failed) if failed else 0.0


def verdict(requests: Sequence[Request], allowed: Mapping[str, float]) -> list[str]:
    """Return which criteria do not hold.

    ``allowed`` are the seconds in which requests of a service may fail.
    """
    broken = []
    for service in SERVICES:
        those, seconds = of(service, requests), allowed.get(service, 0.0)
        assert len(those) > 50, "there was no traffic"
        failed = Counter(each.outcome for each in those if each.outcome != OK)
        if failed and not seconds:
            broken.append(f"{service}: {dict(failed)}")
        elif span(those) > seconds:
            broken.append(f"{service}: {dict(failed)} over {span(those):.1f} s")
        if seconds and any(each.startswith("status 500") for each in failed):
            broken.append(f"{service}: {dict(failed)}")
    return broken


def not_done(name: str) -> str:
    """Return the row of an experiment that could not be judged."""
    return f"{name:32} | not done: see the failure above"


def row(
    name: str, acted: float, requests: Sequence[Request], faults: Sequence[str]
) -> str:
    """Return a row under `HEADS`; ``acted`` is how long what was done took."""
    cells = [f"{name:32}", f"{acted:6.1f} s"]
    for service in SERVICES:
        those = of(service, requests)
        failed = sum(each.outcome != OK for each in those)
        durations = sorted(each.seconds for each in those)
        p99 = durations[int(0.99 * (len(durations) - 1))] if durations else 0
        cells.append(f"{len(those):6} {failed:5} {span(those):5.1f} s {p99:6.2f} s")
    return " | ".join([*cells, "; ".join(faults) or "held"])
