"""Look up the addresses of a name."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")

HostPort = tuple[str, int]


class ResolutionError(Exception):
    """A name has no address at present, or can have none."""


async def addresses_of_name(name: str, port: int) -> list[HostPort]:
    """Return every A and AAAA address of a name, in a stable order.

    Raises `OSError`: it has none, or there was no response; `ResolutionError`: it
    cannot be a name.
    """
    try:
        found = await _in_own_thread(
            lambda: socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
        )
    except UnicodeError:
        reason = "a part of the name is empty, or longer than 63 characters"
        raise ResolutionError(reason) from None
    return sorted({(str(place[0]), port) for *_, place in found})


async def _in_own_thread(work: Callable[[], T]) -> T:
    """Return what `work` returns, or raise what it raises.

    A resolver may hang for a long time. In the loop's pool of a few threads other names
    would wait for it, and so would the end of the process.
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

    threading.Thread(target=run, name="resolver", daemon=True).start()
    return await outcome
