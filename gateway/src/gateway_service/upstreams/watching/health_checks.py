"""Probe replicas, and conclude from the results whether they are ready."""

import asyncio
from typing import Final, NamedTuple

from gateway_service.config.model import HealthConfig
from gateway_service.http1.descriptors import is_exhaustion
from gateway_service.upstreams.endpoint import Endpoint
from gateway_service.upstreams.failures import ProbeResult
from gateway_service.upstreams.replica import ReplicaHealth

_LONGEST_STATUS_LINE: Final = 1_024
_OK: Final = range(200, 300)
_SERVER_ERRORS: Final = range(500, 600)

_LATE: Final = 0.5
"""Seconds by which a timer is late only if the gateway stood still.

The loop runs timers before it reads: the response may have come.
"""

_LONGEST_START: Final = 10
"""Probes without any response after which a replica is no longer just starting."""


class Probe(NamedTuple):
    """What one probe found."""

    result: ProbeResult
    detail: str = ""
    """For the log: what the operator may have to change."""


async def probe(endpoint: Endpoint, config: HealthConfig) -> Probe:
    """Probe one replica, on a connection of its own."""
    bound = asyncio.timeout(config.timeout)
    try:
        async with bound:
            return await _send(endpoint, config.path)
    except ConnectionRefusedError:
        return Probe(ProbeResult.REFUSED, "connection refused: is health.port right?")
    except TimeoutError:
        return _without_response(config, bound.when())
    except OSError as error:
        if is_exhaustion(error, endpoint.host):
            return Probe(ProbeResult.INCONCLUSIVE, error.strerror or "")
        return Probe(ProbeResult.SILENT, error.strerror or type(error).__name__)
    except ValueError:
        return Probe(ProbeResult.SILENT, "no HTTP response: is health.port right?")


async def _send(endpoint: Endpoint, path: str) -> Probe:
    reader, writer = await asyncio.open_connection(
        endpoint.host, endpoint.probe_port, limit=_LONGEST_STATUS_LINE
    )
    try:
        writer.write(
            f"GET {path} HTTP/1.1\r\nHost: {endpoint}\r\n"
            "User-Agent: gateway-probe\r\nConnection: close\r\n\r\n".encode("ascii")
        )
        version, code, *_ = (await reader.readline()).split(maxsplit=2)
        if not version.startswith(b"HTTP/1."):
            raise ValueError
        return _found(endpoint, int(code))
    finally:
        writer.transport.abort()


def _without_response(config: HealthConfig, due_at: float | None) -> Probe:
    if due_at is not None and asyncio.get_running_loop().time() > due_at + _LATE:
        return Probe(
            ProbeResult.INCONCLUSIVE, "the gateway had no time to read a response"
        )
    detail = f"no response in {config.timeout:g} s (health.timeout)"
    return Probe(ProbeResult.SILENT, detail)


def _found(endpoint: Endpoint, status: int) -> Probe:
    if status in _OK:
        return Probe(ProbeResult.READY)
    detail = f"the probe of {endpoint} got {status}"
    if status not in _SERVER_ERRORS:
        detail += ": set health.path"
    return Probe(ProbeResult.NOT_READY, detail)


class HealthCheck:
    """Concludes a replica's health from its last probes."""

    def __init__(self, config: HealthConfig) -> None:
        self._config = config
        self._health = ReplicaHealth.UNKNOWN
        self._has_responded = False
        self._probes_without_response = 0
        self.should_warn = False
        """Whether to log, this once, that no probe ever got a response."""
        self._successes = 0
        self._silences = 0

    def health_after(self, result: ProbeResult) -> ReplicaHealth:
        """Return the health after one more probe, by the table in docs/gateway.md.

        A replica that is not ready, or whose port is closed, is out immediately; a
        silent one only if it stays silent, because a busy machine is silent too. If no
        probe ever got a response, the health is unknown: the replica may be starting,
        or may not listen for probes at all, and requests decide.
        """
        self.should_warn = False
        if result is ProbeResult.INCONCLUSIVE:
            return self._health
        if result not in {ProbeResult.REFUSED, ProbeResult.SILENT}:
            self._has_responded = True
        elif not self._has_responded:
            self._probes_without_response += 1
            self.should_warn = self._probes_without_response == _LONGEST_START
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
                    self._health = ReplicaHealth.SILENT
        return self._health
