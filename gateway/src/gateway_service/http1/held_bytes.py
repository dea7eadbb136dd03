"""A limit of the bytes that are held for all connections together."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable
from itertools import chain
from typing import Final

from gateway_service.http1.client import Client

_INTERVAL: Final = 0.25
"""Seconds between two checks, each of which takes 3 ms for 10,000 connections."""

_KEPT: Final = 0.75
"""The part of the limit that is held after it was exceeded."""

_logger: Final = logging.getLogger(__name__)


class HeldBytes:
    """Cuts connections of the client with most held bytes while the total is too large.

    The bytes of one connection are bounded, and so is the number of connections, but
    their product would be gigabytes. It is `Bounded`: each deadline is a check.
    """

    limit: int
    """Bytes; the server sets it (`limits.held`)."""

    def __init__(
        self,
        connections: tuple[set[Client], ...],
        trusts: Callable[[Client], bool],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._connections = connections
        self._trusts = trusts
        self._loop = loop
        self.deadline = 0.0
        self.total = 0
        """At the last check."""
        self.cut = 0
        """Connections that were cut."""

    def on_deadline(self) -> None:
        """Check the total, and schedule the next check."""
        self.deadline = self._loop.time() + _INTERVAL
        self.total = sum(each.held for each in chain(*self._connections))
        if self.total > self.limit:
            self._cut_some()

    def _cut_some(self) -> None:
        by_client: defaultdict[object, list[tuple[int, Client]]] = defaultdict(list)
        for each in chain(*self._connections):
            client: object = each.network
            if self._trusts(each):
                # A connection on which nobody is known of is another client's.
                client = each.proxied_client or each
            by_client[client].append((each.held, each))
        before = self.cut
        for held_of_client in sorted(by_client.values(), key=_sum, reverse=True):
            for held, connection in sorted(held_of_client, key=_held, reverse=True):
                if self.total <= self.limit * _KEPT:
                    break
                self.total -= held
                self.cut += 1
                connection.cut()
        _logger.warning(
            "connections_cut",
            extra={"count": self.cut - before, "limits.held": self.limit},
        )


def _sum(held_of_client: list[tuple[int, Client]]) -> int:
    return sum(map(_held, held_of_client))


def _held(connection: tuple[int, Client]) -> int:
    return connection[0]
