"""Requests in line for a place at an upstream, so that a burst costs nobody a refusal.

Clients get what becomes free in turn, however many requests each of them has in line.
"""

from asyncio import Future
from collections.abc import Callable
from typing import Final

from gateway_service.http1.exchange import Exchange

LONGEST_IN_LINE: Final = 0.2
"""Seconds. Where more comes than the upstream works on, none of it helps to wait."""

Turn = Future[bool]
"""Its result says whether its request has a place, or waited too long for one."""


class Queue:
    """The requests of one upstream that wait."""

    def __init__(self) -> None:
        self._clients: dict[str, dict[Turn, Exchange]] = {}
        """Each client's in the order in which they came; whose turn is next first."""

    def count_of(self, exchange: Exchange) -> int:
        """Return how many requests of its client wait."""
        return len(self._clients.get(_client_of(exchange), ()))

    def join(self, exchange: Exchange) -> Turn:
        """Have a request wait."""
        turn: Turn = exchange.client.loop.create_future()
        self._clients.setdefault(_client_of(exchange), {})[turn] = exchange
        return turn

    def leave(self, exchange: Exchange, turn: Turn) -> None:
        """Have it wait no longer."""
        client = _client_of(exchange)
        turns = self._clients.get(client, {})
        turns.pop(turn, None)
        if not turns:
            self._clients.pop(client, None)

    def admit(self, has_room: Callable[[Exchange], bool]) -> bool:
        """Let the next request go on that has room; return whether there was one."""
        for client, turns in self._clients.items():
            for turn, exchange in turns.items():
                if turn.done():  # it was given up just now
                    continue
                if not has_room(exchange):
                    break  # so have none of this client's
                turn.set_result(True)
                self.leave(exchange, turn)
                if turns:
                    self._clients[client] = self._clients.pop(client)
                return True
        return False


def give_up(turn: Turn) -> None:
    """Let a request wait no longer, unless it has its place."""
    if not turn.done():
        turn.set_result(False)


def _client_of(exchange: Exchange) -> str:
    return exchange.proxied_client or exchange.client.network
