"""Log what browsers refuse to pages, because most of it is missing in a setting."""

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from service_kit.requests.addresses import client_network

_MOST: Final = 100
"""Lines in one period, so that made-up origins do not fill the log."""
_MOST_OF_A_CLIENT: Final = 5
"""Of those, so that one who makes them up does not hide a page that is in use."""
_PERIOD: Final = 3_600.0
_LONGEST: Final = 256
"""Characters of an origin, or of what it asks for, that are logged."""

_logger: Final = logging.getLogger(__name__)


class CorsRefusals:
    """Logs a line an hour for each refusal, for at most 100 of them.

    Of one client only a few are logged. A line says how many requests had none before.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._named: set[tuple[str, ...]] = set()
        self._by_client: Counter[str] = Counter()
        self._left_out = 0
        self._ends_at = 0.0

    def note_origin(self, untrusted_origin: bytes, route: str, client: str) -> None:
        """Name an origin that is not allowed.

        ``client`` is the address of the one that sent it.
        """
        origin = _shown(untrusted_origin)
        setting = "GATEWAY_ALLOWED_ORIGINS, or cors.origins in the file"
        fields = {"origin": origin, "route": route, "setting": setting}
        self._note("origin_refused", (origin,), fields, client)

    def note_preflight(
        self, origin: bytes, not_offered: Iterable[str], route: str, client: str
    ) -> None:
        """Name what a page of an allowed origin may not send to a route."""
        what = {
            "origin": _shown(origin),
            "not_offered": _shown(", ".join(not_offered).encode("latin-1")),
            "route": route,
        }
        setting = "cors.request_headers in the file, or the methods of the route"
        fields = {**what, "setting": setting}
        self._note("preflight_refused", tuple(what.values()), fields, client)

    def _note(
        self, event: str, key: tuple[str, ...], fields: Mapping[str, str], client: str
    ) -> None:
        """Log a refusal, unless one with this key has been."""
        now = self._now()
        if now >= self._ends_at:
            self._named.clear()
            self._by_client.clear()
            self._ends_at = now + _PERIOD
        network = client_network(client)
        if key in self._named:
            return
        if len(self._named) >= _MOST or self._by_client[network] >= _MOST_OF_A_CLIENT:
            self._left_out += 1
            return
        self._named.add(key)
        self._by_client[network] += 1
        extra: dict[str, object] = {**fields}
        if self._left_out:
            extra["left_out_before"] = self._left_out
            self._left_out = 0
        _logger.warning(event, extra=extra)


def _shown(untrusted: bytes) -> str:
    return untrusted[:_LONGEST].decode("ascii", "backslashreplace")
