import asyncio
import contextlib

from service_kit.cancelling import cancelled


async def test_task_that_forgets_a_cancellation_is_cancelled_again() -> None:
    async def work() -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(3600)
        await asyncio.sleep(3600)

    task = asyncio.create_task(work())
    await asyncio.sleep(0)

    async with asyncio.timeout(5):
        await cancelled(task, interval=0.01)

    assert task.cancelled()


async def test_what_a_task_ended_with_is_its_own_business() -> None:
    async def work() -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            raise ConnectionError

    task = asyncio.create_task(work())
    await asyncio.sleep(0)

    await cancelled(task)

    assert isinstance(task.exception(), ConnectionError)
