"""Log what browsers refuse to pages, because most of it is missing in a setting."""

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Final

from service_kit.requests.addresses import client_network

_MOST: Final = 100
"""Lines in one period, so that made-up origins do not fill the log."""
_MOST_OF_A_CLIENT: Final = 5
"""Of those, so that one who makes them up does not hide a page that is in use."""
_PERIOD: Final = 3_600.0
_LONGEST: Final = 256
"""Characters of an origin, or of what it asks for, that are logged."""

_DEFAULT_PORTS: Final = {b"http": b":80", b"https": b":443"}
"""At the end of an authority; an origin leaves them out (RFC 6454, 6.2)."""

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

    def note_origin(
        self, untrusted_origin: bytes, host: bytes, route: str, client: str
    ) -> None:
        """Name an origin that is not allowed, unless it is the gateway's own.

        ``client`` is the address of the one that sent it.
        """
        scheme, _, authority = untrusted_origin.lower().partition(b"://")
        host = host.lower()
        if authority in {host, host.removesuffix(_DEFAULT_PORTS.get(scheme, b""))}:
            return  # browsers send Origin within one origin, too
        setting = "GATEWAY_ALLOWED_ORIGINS, or cors.origins in the file"
        what = {"origin": _shown(untrusted_origin)}
        self._note("origin_refused", what, route, setting, client)

    def note_preflight(
        self, origin: bytes, not_offered: Iterable[str], route: str, client: str
    ) -> None:
        """Name what a page of an allowed origin may not send."""
        setting = "cors.request_headers in the file, or the methods of the route"
        wanted = _shown(", ".join(not_offered).encode("latin-1"))
        what = {"origin": _shown(origin), "not_offered": wanted}
        self._note("preflight_refused", what, route, setting, client)

    def _note(
        self, event: str, what: dict[str, str], route: str, setting: str, client: str
    ) -> None:
        """Log a refusal, unless it has been."""
        now = self._now()
        if now >= self._ends_at:
            self._named.clear()
            self._by_client.clear()
            self._ends_at = now + _PERIOD
        key, network = tuple(what.values()), client_network(client)
        if key in self._named:
            return
        if len(self._named) >= _MOST or self._by_client[network] >= _MOST_OF_A_CLIENT:
            self._left_out += 1
            return
        self._named.add(key)
        self._by_client[network] += 1
        fields: dict[str, object] = {**what, "route": route, "setting": setting}
        if self._left_out:
            fields["left_out_before"] = self._left_out
            self._left_out = 0
        _logger.warning(event, extra=fields)


def _shown(untrusted: bytes) -> str:
    return untrusted[:_LONGEST].decode("ascii", "backslashreplace")
