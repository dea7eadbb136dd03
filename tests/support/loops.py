"""The event loop of the product."""

import asyncio
from collections.abc import Callable, Mapping

import uvloop


def pytest_asyncio_loop_factories() -> Mapping[
    str, Callable[[], asyncio.AbstractEventLoop]
]:
    """Run on uvloop, as the product does: it writes and closes at other moments.

    A folder's ``conftest.py`` imports this hook.
    """
    return {"uvloop": uvloop.new_event_loop}
