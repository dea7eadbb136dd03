"""Ask replicas whether they are ready, and judge from their answers."""

import asyncio
from enum import Enum
from typing import Final

from gateway_service.config.model import HealthConfig
from gateway_service.upstreams.replica import Endpoint, Readiness

_LONGEST_STATUS_LINE: Final = 1_024
_OK: Final = range(200, 300)


class ProbeResult(Enum):
    """What one probe came back with."""

    READY = "ready"
    NOT_READY = "not ready"
    """It answered, but not with success: it asks for no more requests."""
    REFUSED = "refused"
    """Nobody listens: the process is gone."""
    SILENT = "silent"
    """No answer in time, or none that is HTTP."""


async def probe(endpoint: Endpoint, config: HealthConfig) -> ProbeResult:
    """Ask one replica, on a connection of its own."""
    try:
        async with asyncio.timeout(config.timeout):
            return await _ask(endpoint, config.path)
    except ConnectionRefusedError:
        return ProbeResult.REFUSED
    except (OSError, TimeoutError, ValueError):
        return ProbeResult.SILENT


async def _ask(endpoint: Endpoint, path: str) -> ProbeResult:
    reader, writer = await asyncio.open_connection(
        endpoint.host, endpoint.probe_port, limit=_LONGEST_STATUS_LINE
    )
    try:
        writer.write(
            f"GET {path} HTTP/1.1\r\nHost: {endpoint}\r\n"
            "User-Agent: gateway-probe\r\nConnection: close\r\n\r\n".encode("ascii")
        )
        version, status, *_ = (await reader.readline()).split(maxsplit=2)
        if not version.startswith(b"HTTP/1."):
            return ProbeResult.SILENT
        return ProbeResult.READY if int(status) in _OK else ProbeResult.NOT_READY
    finally:
        writer.transport.abort()


class Judge:
    """Draws a replica's readiness from its last probes."""

    def __init__(self, config: HealthConfig) -> None:
        self._config = config
        self._readiness = Readiness.UNKNOWN
        self._has_answered = False
        self._successes = 0
        self._silences = 0

    def readiness_after(self, result: ProbeResult) -> Readiness:
        """Return what to believe now.

        A replica that says it is not ready, or whose port is closed, is believed at
        once; silence only when it lasts, because a busy machine is silent too. Where
        no probe was ever answered nothing is known: it may be starting, or it may
        not be listening for probes at all, and requests find out.
        """
        if result in {ProbeResult.READY, ProbeResult.NOT_READY}:
            self._has_answered = True
        elif not self._has_answered:
            return self._readiness
        self._successes = self._successes + 1 if result is ProbeResult.READY else 0
        self._silences = self._silences + 1 if result is ProbeResult.SILENT else 0
        match result:
            case ProbeResult.READY:
                first = self._readiness is Readiness.UNKNOWN
                if first or self._successes >= self._config.successes:
                    self._readiness = Readiness.READY
            case ProbeResult.NOT_READY:
                self._readiness = Readiness.NOT_READY
            case ProbeResult.REFUSED:
                self._readiness = Readiness.UNREACHABLE
            case ProbeResult.SILENT:
                if self._silences >= self._config.failures:
                    self._readiness = Readiness.UNREACHABLE
        return self._readiness
