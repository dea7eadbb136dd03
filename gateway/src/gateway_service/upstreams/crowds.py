"""Which clients have enough, where many have requests in flight."""

from typing import Final

from gateway_service.http1.client import Client
from gateway_service.http1.client_counts import SMALL_CLIENT

_CROWDED: Final = 0.5
"""The part of the places from which on no client gets more than its share."""

_LARGEST_CLIENT: Final = 0.125
"""That share. Eight such clients are no longer one that keeps others out."""


def has_room(client: Client, taken: int, places: float) -> bool:
    """Return whether a client may take one more of an upstream's places.

    Where many are taken, one with very many connections may not, so that others can: a
    request takes a connection.
    """
    if taken < places * _CROWDED:
        return True
    largest = max(SMALL_CLIENT, places * _LARGEST_CLIENT)
    return taken < places and client.siblings <= largest
