"""Which clients have enough, where many have requests in flight."""

from collections import Counter
from typing import Final

from gateway_service.http1.client_counts import SMALL_CLIENT
from gateway_service.http1.exchange import Exchange

_CROWDED: Final = 0.5
"""The part of the places from which on no client gets more than its share."""

LARGEST_CLIENT: Final = 0.125
"""That share. Eight such clients are no longer one that keeps others out."""

FEW: Final = 8
"""Connections that any client may have beyond an adaptive limit: a browser opens six.

Such a limit may be 4, so an office's connections would take all of it and the excess.
"""


class UpstreamClients:
    """The clients of one upstream.

    A client has as many requests in flight as it has connections, at most. Those of a
    proxy are many clients', so there the requests themselves are counted.
    """

    def __init__(self) -> None:
        self._behind_proxies: Counter[str] = Counter()
        """Requests in flight, by client."""

    def add(self, client: str) -> None:
        """Count a request of a client behind a proxy."""
        self._behind_proxies[client] += 1

    def remove(self, client: str) -> None:
        """Count one no longer."""
        self._behind_proxies[client] -= 1
        if not self._behind_proxies[client]:
            del self._behind_proxies[client]

    def has_room(
        self, exchange: Exchange, taken: int, places: float, least: int = SMALL_CLIENT
    ) -> bool:
        """Return whether a client may take one more of an upstream's places.

        Where many are taken, one that may have very many may not, so that others can:
        more than ``least`` and more than its share.
        """
        if taken < places * _CROWDED:
            return True
        return taken < places and self._has_share(exchange, places, least)

    def has_few(self, exchange: Exchange, limit: float) -> bool:
        """Return whether a client can have no more than its share of a low limit."""
        return self._has_share(exchange, limit, FEW)

    def _has_share(self, exchange: Exchange, places: float, least: int) -> bool:
        largest = max(least, places * LARGEST_CLIENT)
        size = exchange.client.siblings or self._behind_proxies[exchange.proxied_client]
        return size <= largest
