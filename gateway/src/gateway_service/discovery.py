"""From the addresses of a configuration to the endpoints that exist now."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from ipaddress import ip_address
from socket import SOCK_STREAM, gaierror
from typing import Final

from gateway_service.config import Address
from gateway_service.replicas import Endpoint

RESOLVE_SECONDS: Final = 2.0
"""How long an answer is waited for; the last good one serves meanwhile."""

_logger: Final = logging.getLogger(__name__)

HostPort = tuple[str, int]
Lookup = Callable[[str, int], Awaitable[list[HostPort]]]
"""Returns every address and port behind a name; OSError if there is none."""


class ResolutionError(Exception):
    """A name has no address just now, or no answer came."""


class Discovery:
    """Turns an upstream's addresses into endpoints, again and again.

    While a name cannot be resolved, what it last stood for stays valid: a name server
    that is away takes no replica out.
    """

    def __init__(
        self,
        addresses: Iterable[Address],
        probe_port: int,
        *,
        look_up_name: Lookup | None = None,
        look_up_service: Lookup | None = None,
    ) -> None:
        self._addresses = tuple(addresses)
        self._probe_port = probe_port
        self._look_up_name = look_up_name or addresses_of_name
        self._look_up_service = look_up_service or targets_of_service
        self._last_good: dict[Address, list[HostPort]] = {}
        self._running: dict[Address, asyncio.Future[list[HostPort]]] = {}
        self.faults: dict[str, str] = {}
        """The names that cannot be resolved at present, and why."""

    async def endpoints(self) -> list[Endpoint]:
        """Return what is known now, in no longer than `RESOLVE_SECONDS`."""
        found = await asyncio.gather(*map(self._resolve, self._addresses))
        return [
            Endpoint(host, port, address.probe_port or self._probe_port or port)
            for address, places in zip(self._addresses, found, strict=True)
            for host, port in places
        ]

    async def _resolve(self, address: Address) -> list[HostPort]:
        if _is_literal(address.host):
            return [(address.host, address.port)]
        try:
            async with asyncio.timeout(RESOLVE_SECONDS):
                places = await asyncio.shield(self._query(address))
        except (OSError, TimeoutError, ResolutionError) as error:
            if address.host not in self.faults:
                _logger.warning(
                    "name_not_resolved",
                    extra={"name_asked": address.host, "error": type(error).__name__},
                )
            self.faults[address.host] = _reason(error)
        else:
            self.faults.pop(address.host, None)
            self._last_good[address] = places
        return self._last_good.get(address, [])

    def _query(self, address: Address) -> asyncio.Future[list[HostPort]]:
        """Ask once at a time: a resolver that hangs holds one thread, not many."""
        running = self._running.get(address)
        if running is None or running.done():
            look_up = self._look_up_service if address.service else self._look_up_name
            running = asyncio.ensure_future(look_up(address.host, address.port))
            running.add_done_callback(_mark_retrieved)
            self._running[address] = running
        return running


async def addresses_of_name(name: str, port: int) -> list[HostPort]:
    """Return every A and AAAA address of a name, in a stable order."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(name, port, type=SOCK_STREAM)
    return sorted({(str(place[0]), port) for *_, place in found})


async def targets_of_service(name: str, _: int) -> list[HostPort]:
    """Return the targets of a service with the best priority (RFC 2782).

    Their weights are not used: in-flight counts say more about who can take a request.
    """
    # Imported only where it is configured: it takes 5 MiB.
    from dns.asyncresolver import resolve  # noqa: PLC0415
    from dns.exception import DNSException  # noqa: PLC0415

    try:
        records = list(await resolve(name, "SRV"))
    except DNSException as error:
        raise ResolutionError(type(error).__name__) from error
    best = min((record.priority for record in records), default=0)
    targets = [
        (record.target.to_text(omit_final_dot=True), record.port)
        for record in records
        if record.priority == best
    ]
    found = await asyncio.gather(*(addresses_of_name(*target) for target in targets))
    return sorted({place for places in found for place in places})


def _is_literal(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _reason(error: Exception) -> str:
    match error:
        case TimeoutError():
            return f"no answer in {RESOLVE_SECONDS:g} s"
        case gaierror():
            return error.strerror or "no address"
        case _:
            return str(error) or type(error).__name__


def _mark_retrieved(query: asyncio.Future[list[HostPort]]) -> None:
    """Keep asyncio from reporting a failure that came too late for anybody."""
    if not query.cancelled():
        query.exception()
