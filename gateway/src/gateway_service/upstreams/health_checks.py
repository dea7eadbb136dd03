"""Probe replicas, and conclude from the results whether they are ready."""

import asyncio
from enum import Enum
from typing import Final

from gateway_service.config.model import HealthConfig
from gateway_service.upstreams.endpoint import Endpoint
from gateway_service.upstreams.replica import ReplicaHealth

_LONGEST_STATUS_LINE: Final = 1_024
_OK: Final = range(200, 300)


class ProbeResult(Enum):
    """The result of one probe."""

    READY = "ready"
    NOT_READY = "not ready"
    """It responded, but not with success: it wants no more requests."""
    REFUSED = "refused"
    """Nobody listens: the process is gone."""
    SILENT = "silent"
    """No response in time, or none that is HTTP."""


async def probe(endpoint: Endpoint, config: HealthConfig) -> ProbeResult:
    """Probe one replica, on a connection of its own."""
    try:
        async with asyncio.timeout(config.timeout):
            return await _send(endpoint, config.path)
    except ConnectionRefusedError:
        return ProbeResult.REFUSED
    except (OSError, TimeoutError, ValueError):
        return ProbeResult.SILENT


async def _send(endpoint: Endpoint, path: str) -> ProbeResult:
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


class HealthCheck:
    """Concludes a replica's health from its last probes."""

    def __init__(self, config: HealthConfig) -> None:
        self._config = config
        self._health = ReplicaHealth.UNKNOWN
        self._has_responded = False
        self._successes = 0
        self._silences = 0

    def health_after(self, result: ProbeResult) -> ReplicaHealth:
        """Return the health after one more probe.

        A replica that says it is not ready, or whose port is closed, is out at once; a
        silent one only when it stays silent, because a busy machine is silent too. If
        no probe was ever answered, nothing is known: the replica may be starting, or
        may not listen for probes at all, and requests find out.
        """
        if result in {ProbeResult.READY, ProbeResult.NOT_READY}:
            self._has_responded = True
        elif not self._has_responded:
            return self._health
        self._successes = self._successes + 1 if result is ProbeResult.READY else 0
        self._silences = self._silences + 1 if result is ProbeResult.SILENT else 0
        match result:
            case ProbeResult.READY:
                first = self._health is ReplicaHealth.UNKNOWN
                if first or self._successes >= self._config.successes:
                    self._health = ReplicaHealth.READY
            case ProbeResult.NOT_READY:
                self._health = ReplicaHealth.NOT_READY
            case ProbeResult.REFUSED:
                self._health = ReplicaHealth.UNREACHABLE
            case ProbeResult.SILENT:
                if self._silences >= self._config.failures:
                    self._health = ReplicaHealth.UNREACHABLE
        return self._health
