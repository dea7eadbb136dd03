"""Whether an observer with a clock could tell cases apart."""

import random
import statistics
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

WARM_UP_TRIES: Final = 3
"""First tries, whose durations do not count: caches are cold, connections new."""

ALLOWED_SPREAD: Final = 0.05
"""How much longer the slowest case may take, as a share of the fastest."""

MEASUREMENTS: Final = 6


async def assert_alike(
    cases: Mapping[str, Callable[[], Awaitable[object]]],
    *,
    tries: int,
    clock: Callable[[], float] = time.perf_counter,
) -> None:
    """Fail if the medians of the cases differ by `ALLOWED_SPREAD` or more.

    Measured up to `MEASUREMENTS` times, each time together with what was measured
    before: the more tries, the less is left of what a busy machine does to some of
    them, while a difference that an observer could use stays.
    """
    seen = []
    durations: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(MEASUREMENTS):
        measured = await _interleaved(cases, tries=tries, clock=clock)
        for name, each in measured.items():
            durations[name] += each
        medians = _medians(durations)
        seen.append(medians)
        if spread(medians) < ALLOWED_SPREAD:
            return
    raise AssertionError(f"an observer can tell these apart: {seen}")


async def interleaved_medians(
    cases: Mapping[str, Callable[[], Awaitable[object]]],
    *,
    tries: int,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, float]:
    """Return the median duration of each case, in the clock's seconds."""
    return _medians(await _interleaved(cases, tries=tries, clock=clock))


async def _interleaved(
    cases: Mapping[str, Callable[[], Awaitable[object]]],
    *,
    tries: int,
    clock: Callable[[], float],
) -> dict[str, list[float]]:
    """Return the durations of each case.

    The cases take turns, in another order in each round, so that neither other load on
    the machine nor what the case before left to be done favours one.
    """
    names = list(cases)
    durations: dict[str, list[float]] = {name: [] for name in names}
    for round_ in range(WARM_UP_TRIES + tries):
        random.shuffle(names)
        for name in names:
            started_at = clock()
            await cases[name]()
            if round_ >= WARM_UP_TRIES:
                durations[name].append(clock() - started_at)
    return durations


def _medians(durations: Mapping[str, list[float]]) -> dict[str, float]:
    return {name: statistics.median(each) for name, each in durations.items()}


def spread(medians: Mapping[str, float]) -> float:
    """Return how far the slowest is above the fastest, as a share of the fastest."""
    return max(medians.values()) / min(medians.values()) - 1
