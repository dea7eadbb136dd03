"""Resolve the addresses of a configuration to endpoints."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from itertools import chain
from typing import Final

from gateway_service.config.values import Address
from gateway_service.upstreams.discovery.look_ups import (
    HostPort,
    ResolutionError,
    addresses_of_name,
    targets_of_service,
)
from gateway_service.upstreams.endpoint import Endpoint
from service_kit.running.loop import is_address

RESOLVE_SECONDS: Final = 2.0
"""How long one look-up may take; the last good result is used meanwhile."""

_logger: Final = logging.getLogger(__name__)

Lookup = Callable[[str, int], Awaitable[list[HostPort]]]
"""Returns every address behind a name, or every target of a service, with its port.

It raises OSError or `ResolutionError` if there is none.
"""


class Discovery:
    """Turns an upstream's addresses into endpoints.

    While a name cannot be resolved, its last addresses stay valid: a name server that
    is away takes no replica out. The same holds for the targets of a service.
    """

    def __init__(
        self,
        addresses: Iterable[Address],
        probe_port: int,
        *,
        look_up_name: Lookup = addresses_of_name,
        look_up_service: Lookup = targets_of_service,
        timeout: float = RESOLVE_SECONDS,
    ) -> None:
        self._addresses = tuple(addresses)
        self._probe_port = probe_port
        self._look_up_name = look_up_name
        self._look_up_service = look_up_service
        self._timeout = timeout
        self._last_good: dict[Address, list[HostPort]] = {}
        self._running: dict[Address, asyncio.Future[list[HostPort]]] = {}
        self._asked: set[Address] = set()
        """Whose names have been looked up in this round."""
        self.faults: dict[str, str] = {}
        """The names that cannot be resolved at present, and why."""

    async def endpoints(self) -> list[Endpoint]:
        """Return what is known now, within `timeout` for each look-up in a row."""
        self._asked.clear()
        found = await asyncio.gather(*map(self._resolve, self._addresses))
        self._forget_others()
        return [
            Endpoint(host, port, address.probe_port or self._probe_port or port)
            for address, places in zip(self._addresses, found, strict=True)
            for host, port in places
        ]

    async def _resolve(self, address: Address) -> list[HostPort]:
        if is_address(address.host):
            return [(address.host, address.port)]
        self._asked.add(address)
        try:
            async with asyncio.timeout(self._timeout):
                places = await asyncio.shield(self._query(address))
        except (OSError, TimeoutError, ResolutionError) as error:
            if address.host not in self.faults:
                _logger.warning(
                    "name_not_resolved",
                    extra={"name_asked": address.host, "error": type(error).__name__},
                )
            self.faults[address.host] = self._reason(error)
        else:
            self.faults.pop(address.host, None)
            self._last_good[address] = places
        places = self._last_good.get(address, [])
        if not address.service:
            return places
        targets = [Address(host, port) for host, port in places]
        found = await asyncio.gather(*map(self._resolve, targets))
        return sorted(set(chain.from_iterable(found)))

    def _forget_others(self) -> None:
        """Forget targets that a service no longer has."""
        names = {address.host for address in self._asked}
        self.faults = {n: why for n, why in self.faults.items() if n in names}
        for gone in self._last_good.keys() - self._asked:
            del self._last_good[gone]

    def _reason(self, error: Exception) -> str:
        match error:
            case TimeoutError():
                return f"no response in {self._timeout:g} s"
            case OSError():
                return error.strerror or "no address"
            case _:
                return str(error)

    def _query(self, address: Address) -> asyncio.Future[list[HostPort]]:
        """Look a name up once at a time: a resolver that hangs holds one thread."""
        running = self._running.get(address)
        if running is None:
            look_up = self._look_up_service if address.service else self._look_up_name
            running = asyncio.ensure_future(look_up(address.host, address.port))
            running.add_done_callback(_mark_retrieved)
            running.add_done_callback(lambda _: self._running.pop(address, None))
            self._running[address] = running
        return running

    async def close(self) -> None:
        """Cancel the look-ups that are still running."""
        running = [*self._running.values()]
        for query in running:
            query.cancel()
        await asyncio.gather(*running, return_exceptions=True)


def _mark_retrieved(query: asyncio.Future[list[HostPort]]) -> None:
    """Keep asyncio from reporting a failure after the timeout."""
    if not query.cancelled():
        query.exception()
