"""Which clients have enough, where many have requests in flight."""

from typing import Final

from gateway_service.http1.client import Client
from gateway_service.http1.client_counts import SMALL_CLIENT

CROWDED: Final = 0.5
"""The part of the places from which on no client gets more than its share."""

LARGEST_CLIENT: Final = 0.125
"""That share. Eight such clients are no longer one that keeps others out."""


def is_crowded_out(client: Client, taken: int, places: float) -> bool:
    """Return whether a client gets no further place, so that others can.

    That is one with very many connections, where many places are taken: a request
    takes a connection.
    """
    return taken >= places * CROWDED and client.siblings > max(
        SMALL_CLIENT, places * LARGEST_CLIENT
    )
