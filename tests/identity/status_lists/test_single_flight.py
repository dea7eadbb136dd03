import asyncio

import pytest

from identity_service.usecases.caching.single_flight import SingleFlight


class Work:
    def __init__(self) -> None:
        self.runs = 0
        self.may_end = asyncio.Event()
        self.fails = False

    async def __call__(self) -> int:
        self.runs += 1
        await self.may_end.wait()
        if self.fails:
            raise ConnectionError
        return self.runs


async def test_those_who_come_meanwhile_share_the_outcome() -> None:
    work = Work()
    flight = SingleFlight(work)
    waiters = [asyncio.create_task(flight.join()) for _ in range(5)]
    await asyncio.sleep(0)
    work.may_end.set()

    assert await asyncio.gather(*waiters) == [1] * 5
    assert await flight.join() == 2


async def test_failure_is_shared_and_then_forgotten() -> None:
    work = Work()
    work.fails = True
    flight = SingleFlight(work)
    waiters = [asyncio.create_task(flight.join()) for _ in range(5)]
    await asyncio.sleep(0)
    work.may_end.set()
    outcomes = await asyncio.gather(*waiters, return_exceptions=True)

    assert [type(outcome) for outcome in outcomes] == [ConnectionError] * 5
    work.fails = False
    assert await flight.join() == 2


async def test_waiter_who_gives_up_stops_nobody() -> None:
    work = Work()
    flight = SingleFlight(work)
    first, second = (asyncio.create_task(flight.join()) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    work.may_end.set()

    assert await second == 1
