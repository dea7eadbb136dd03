"""The event loop of the services: uvloop's, with look-ups of names that cannot pile up.

uvloop itself has two threads for names, and goes on with look-ups that nobody waits for
any more. Where a name server hangs, they pile up: other names wait behind them, and so
does the end of the process.
"""

import asyncio
import socket
import ssl
from collections.abc import Callable
from functools import partial
from ipaddress import ip_address
from typing import Any, Final

import uvloop

from service_kit.running.own_thread import in_own_thread
from service_kit.running.sockets import Addresses, look_up

_LAST_WORD_SECONDS: Final = 0.5
"""How long a server may take to confirm that its TLS ends. The default of half a minute
for each connection would outlast the time that a process has to end."""

_HANDSHAKE_ERRORS: Final = (ssl.SSLError, ConnectionResetError, ConnectionAbortedError)
"""Errors of an address that has accepted the connection: TLS, the connection's end, and
a handshake that takes too long."""


class Loop(uvloop.Loop):
    """Looks each name up in a thread of its own, and once at a time."""

    def __init__(self) -> None:
        super().__init__()
        self._look_ups: dict[tuple[Any, ...], asyncio.Future[Addresses]] = {}

    async def getaddrinfo(
        self,
        host: Any,  # noqa: ANN401 - as `socket.getaddrinfo` takes it
        port: Any,  # noqa: ANN401 - likewise
        *,
        family: int = 0,
        type: int = 0,  # noqa: A002 - the standard library's word
        proto: int = 0,
        flags: int = 0,
    ) -> Addresses:
        """Return what `look_up` returns."""
        asked = (host, port, family, type, proto, flags)
        running = self._look_ups.get(asked)
        if running is None:
            running = in_own_thread(partial(look_up, *asked))
            running.add_done_callback(partial(self._end, asked))
            self._look_ups[asked] = running
        await asyncio.wait((running,))
        return running.result()

    def _end(self, asked: tuple[Any, ...], running: asyncio.Future[Addresses]) -> None:
        del self._look_ups[asked]
        running.exception()  # which nobody may have waited for

    async def create_connection(
        self,
        protocol_factory: Callable[[], Any],
        host: Any = None,  # noqa: ANN401 - likewise
        port: Any = None,  # noqa: ANN401 - likewise
        *,
        server_hostname: str | None = None,
        **options: Any,  # noqa: ANN401 - uvloop's own
    ) -> tuple[Any, Any]:
        """Connect to the first address of a name that accepts it.

        Raises `OSError`: of that address if TLS fails, else of all.
        """
        if options.get("ssl"):
            options.setdefault("ssl_shutdown_timeout", _LAST_WORD_SECONDS)
        if host is None or is_address(host):
            options["server_hostname"] = server_hostname
            return await super().create_connection(
                protocol_factory, host, port, **options
            )
        if options.get("ssl"):
            options["server_hostname"] = server_hostname or host
        asked = {name: options.pop(name, 0) for name in ("family", "proto", "flags")}
        found = await self.getaddrinfo(host, port, type=socket.SOCK_STREAM, **asked)
        errors: dict[str, OSError] = {}
        for address in dict.fromkeys(place[0] for *_, place in found):
            try:
                return await super().create_connection(
                    protocol_factory, address, port, **options
                )
            except _HANDSHAKE_ERRORS:
                raise
            except OSError as error:
                errors[str(error)] = error
        if len(errors) == 1:
            raise errors.popitem()[1]
        raise OSError(", ".join(errors) or f"{host} has no address")


def is_address(host: str) -> bool:
    """Return whether the host is an IP address, so that there is nothing to look up."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
