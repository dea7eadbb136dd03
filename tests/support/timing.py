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

    Measured up to `MEASUREMENTS` times: what a busy machine does to one measurement
    passes, a difference that an observer could use stays.
    """
    seen = []
    for _ in range(MEASUREMENTS):
        medians = await interleaved_medians(cases, tries=tries, clock=clock)
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
    """Return the median duration of each case, in the clock's seconds.

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
    return {name: statistics.median(each) for name, each in durations.items()}


def spread(medians: Mapping[str, float]) -> float:
    """Return how far the slowest is above the fastest, as a share of the fastest."""
    return max(medians.values()) / min(medians.values()) - 1
