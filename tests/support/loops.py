"""The event loop of the product."""

import asyncio
from collections.abc import Callable, Mapping

from service_kit.running.loop import Loop


def pytest_asyncio_loop_factories() -> Mapping[
    str, Callable[[], asyncio.AbstractEventLoop]
]:
    """Run on the product's own: uvloop writes and closes at other moments.

    A folder's ``conftest.py`` imports this hook.
    """
    return {"uvloop": Loop}
