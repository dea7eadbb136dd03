"""Requests in line for a place at an upstream, so that a burst costs nobody a refusal.

Clients get what becomes free in turn, however many requests each of them has in line.
"""

from asyncio import Future
from collections.abc import Callable
from typing import Final

from gateway_service.http1.exchange import Exchange

LONGEST_WAIT: Final = 0.2
"""Seconds. Where more comes than the upstream works on, none of it helps to wait."""

Place = Future[None]
"""Has a result once its request may go on."""


class Queue:
    """The requests of one upstream that wait."""

    def __init__(self) -> None:
        self._clients: dict[str, dict[Place, Exchange]] = {}
        """Each client's in the order in which they came; whose turn is next first."""

    def __len__(self) -> int:
        """Return how many clients have requests in line."""
        return len(self._clients)

    def join(self, exchange: Exchange) -> Place:
        """Have a request wait."""
        place: Place = exchange.client.loop.create_future()
        self._clients.setdefault(_client_of(exchange), {})[place] = exchange
        return place

    def leave(self, exchange: Exchange, place: Place) -> None:
        """Have it wait no longer."""
        client = _client_of(exchange)
        places = self._clients.get(client, {})
        places.pop(place, None)
        if not places:
            self._clients.pop(client, None)

    def admit(self, has_room: Callable[[Exchange], bool]) -> bool:
        """Let the next request go on that has room; return whether there was one."""
        for client, places in self._clients.items():
            for place, exchange in places.items():
                if place.done():  # it was given up just now
                    continue
                if not has_room(exchange):
                    break  # so have none of this client's
                place.set_result(None)
                self.leave(exchange, place)
                if places:
                    self._clients[client] = self._clients.pop(client)
                return True
        return False


def _client_of(exchange: Exchange) -> str:
    return exchange.proxied_client or exchange.client.network
