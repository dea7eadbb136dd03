"""Work that may hang, such as the look-up of a name, in a thread of its own."""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")


def in_own_thread(work: Callable[[], T]) -> asyncio.Future[T]:
    """Return what will be what ``work`` returns or raises.

    In the loop's pool of a few threads other work would wait for what hangs, and so
    would the end of the process.
    """
    loop = asyncio.get_running_loop()
    outcome: asyncio.Future[T] = loop.create_future()

    def deliver(settle: Callable[[Any], None], value: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has been closed meanwhile
            loop.call_soon_threadsafe(lambda: None if outcome.done() else settle(value))

    def run() -> None:
        try:
            result = work()
        except Exception as error:  # noqa: BLE001 - it is raised where it is waited for
            deliver(outcome.set_exception, error)
        else:
            deliver(outcome.set_result, result)

    threading.Thread(target=run, name="own thread", daemon=True).start()
    return outcome
