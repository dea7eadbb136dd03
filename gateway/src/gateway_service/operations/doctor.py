"""Check what the gateway needs, before or while it runs."""

import asyncio
import errno
import os
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from gateway_service.config.clients import RateLimit, TlsConfig
from gateway_service.config.faults import ConfigError
from gateway_service.config.file import read_config, variables
from gateway_service.config.model import Config, UpstreamConfig
from gateway_service.config.values import MEMORY
from gateway_service.http1.descriptors import raise_limit, room_for_clients, soft_limit
from gateway_service.operations.tls import Certificate
from gateway_service.proxy.rate_limits import SharedCounter, valkey_fault
from gateway_service.settings import GatewaySettings
from gateway_service.upstreams.discovery.discovery import Discovery
from gateway_service.upstreams.endpoint import Endpoint
from gateway_service.upstreams.failures import ProbeResult
from gateway_service.upstreams.watching.health_checks import probe
from service_kit.clock import rfc3339, utc_now
from service_kit.running.doctor import Finding, fault, note
from service_kit.running.running_process import ask_process
from service_kit.running.server import exit_unusable
from service_kit.running.sockets import ListenError, bind
from service_kit.running.unknown_settings import examine_variables

_CONNECT_SECONDS: Final = 2.0

_SOON: Final = timedelta(days=14)
"""How long before its expiry a certificate should have been renewed."""

_RENEW: Final = "renew it; the gateway takes the new files over by itself"

_READ_BY_OTHERS: Final = 0o004

_PROBE_ADVICE: Final = {
    ProbeResult.NOT_READY: "ask its /readyz, or its doctor, what it lacks",
    ProbeResult.REFUSED: "correct health.port",
    ProbeResult.SILENT: "see whether it is stuck, or correct health.port",
    ProbeResult.INCONCLUSIVE: "give the gateway more descriptors, or time",
}


def config_or_exit(path: Path, environ: Mapping[str, str]) -> Config:
    """Return the configuration, or print every fault and exit 2."""
    try:
        return read_config(path, environ)
    except ConfigError as error:
        exit_unusable(*error.faults)


def check(path: Path, environ: Mapping[str, str]) -> None:
    """Print how large the configuration is, or every fault and exit 2."""
    config = config_or_exit(path, environ)
    sys.stdout.write(
        f"{path}: {len(config.routes)} routes to {len(config.upstreams)} upstreams\n"
    )


async def diagnose(
    settings: GatewaySettings, environ: Mapping[str, str]
) -> AsyncIterator[Finding]:
    """Yield a finding for the configuration, and for everything it names."""
    try:
        config = await asyncio.to_thread(read_config, settings.config, environ)
    except ConfigError as error:
        for each in error.faults:
            yield fault(each)  # which says what the key may be
        return
    yield Finding(str(settings.config))
    for finding in examine_variables(GatewaySettings, environ, also=variables(config)):
        yield finding
    async for finding in _examine_processes(settings):
        yield finding
    yield _descriptors(config)
    if config.tls is not None:
        yield await asyncio.to_thread(_certificate, config.tls)
    if config.rate_limit_store != MEMORY:
        yield await _store_answers(config.rate_limit_store)
    for upstream in config.upstreams:
        async for finding in _examine_upstream(upstream):
            yield finding


async def _examine_processes(settings: GatewaySettings) -> AsyncIterator[Finding]:
    """Yield how the gateway that runs here is, or whether it could have its ports."""
    is_running = False
    for port in settings.internal_ports:
        report = await ask_process("gateway", settings.internal_host, port)
        for finding in report.findings:
            yield finding
        if report.status is not None:
            is_running = True
            changed_at = (await asyncio.to_thread(settings.config.stat)).st_mtime
            try:
                findings = [*_running_configuration(report.status, changed_at)]
            except KeyError:
                findings = [_of_another_version(port)]
            for finding in findings:
                yield finding
    if not is_running:
        yield await asyncio.to_thread(_port_is_free, settings)


def _running_configuration(
    status: Mapping[str, Any], changed_at: float
) -> Iterator[Finding]:
    """Yield what is amiss with the configuration that a process has in use.

    ``changed_at`` is when its file was last written, in Unix time.
    """
    used = status["configuration"]
    read_at = datetime.fromisoformat(used["read_at"])
    if changed_at > read_at.timestamp() + 1:
        yield note(
            f"configuration of pid {status['pid']}",
            f"the file has changed since {used['read_at']}, when it was read",
            "send SIGHUP to have it read again",
        )
    limits = status["rate_limits"]
    if limits["counting_alone"]:
        yield fault(
            f"rate limits of pid {status['pid']}",
            "each gateway counts alone",
            f"see why {limits['store']} does not answer",
        )


def _of_another_version(port: int) -> Finding:
    return note(
        f"process on internal port {port}",
        "its version is another, and says nothing of its configuration",
        "use the doctor of that version, or restart the gateway",
    )


def _descriptors(config: Config) -> Finding:
    raise_limit()
    wanted = config.limits.connections
    room = room_for_clients(config.upstream_connections)
    found = f"{soft_limit()}, room for {room} connections of clients"
    if room >= wanted:
        return Finding("descriptors", found)
    advice = f"raise the limit (ulimit -n, LimitNOFILE=), or limits.connections={room}"
    return note("descriptors", f"{found}, not {wanted}", advice)


async def _examine_upstream(upstream: UpstreamConfig) -> AsyncIterator[Finding]:
    discovery = Discovery(upstream.addresses, upstream.health.port)
    endpoints = await discovery.endpoints()
    for name, reason in discovery.faults.items():
        advice = "correct the upstream's addresses, or the name server"
        yield fault(f"{upstream.name}: name {name}", reason, advice)
    findings = await asyncio.gather(
        *(_replica_answers(upstream, endpoint) for endpoint in endpoints)
    )
    for finding in findings:
        yield finding


async def _replica_answers(upstream: UpstreamConfig, endpoint: Endpoint) -> Finding:
    place = f"{upstream.name}: replica {endpoint}"
    try:
        async with asyncio.timeout(_CONNECT_SECONDS):
            _, writer = await asyncio.open_connection(endpoint.host, endpoint.port)
        writer.transport.abort()
    except OSError as error:  # TimeoutError is one
        advice = f"start {upstream.name} there, or correct its addresses"
        return fault(place, _reason(error), advice)
    if not upstream.health.path:
        return Finding(place, "reachable, and not probed")
    result = (await probe(endpoint, upstream.health)).result
    asked = f"port {endpoint.probe_port} {upstream.health.path}: {result.value}"
    if result is ProbeResult.READY:
        return Finding(place, asked)
    return fault(place, asked, _PROBE_ADVICE[result])


def _port_is_free(settings: GatewaySettings) -> Finding:
    place = f"listen on {settings.host}:{settings.port}"
    try:
        for each in bind(settings.host, settings.port, shared=settings.share_port):
            each.close()
    except ListenError as error:
        advice = "end what has the port, or change GATEWAY_PORT"
        return fault(place, error.reason.lower(), advice)
    return Finding(place)


def _certificate(tls: TlsConfig) -> Finding:
    place = f"certificate {tls.certificate}"
    try:
        expires_at = Certificate(tls).expires_at
    except OSError as error:
        advice = "correct tls.certificate and tls.key"
        if error.filename is None:  # both can be read
            return fault(place, error.strerror or type(error).__name__, advice)
        if Path(error.filename) != Path(tls.certificate):
            place = f"private key {tls.key}"
        return fault(place, _reason(error), advice)
    found = f"valid until {rfc3339(expires_at)}"
    left = expires_at - utc_now()
    if left < timedelta():
        return fault(place, f"expired {rfc3339(expires_at)}", _RENEW)
    if Path(tls.key).stat().st_mode & _READ_BY_OTHERS:
        return fault(place, "everybody may read its key", f"chmod o= {tls.key}")
    return note(place, found, _RENEW) if left < _SOON else Finding(place, found)


async def _store_answers(url: str) -> Finding:
    place = f"rate limits in {url.partition('://')[0]}"
    counter = await asyncio.to_thread(SharedCounter, url)
    try:
        async with asyncio.timeout(_CONNECT_SECONDS):
            await counter.count("doctor", RateLimit(requests=1_000_000, seconds=1))
    except Exception as error:  # noqa: BLE001 - any failure is a finding
        advice = "see that it runs, and its URL in rate_limit_store"
        return fault(place, valkey_fault(error), advice)
    finally:
        await counter.close()
    return Finding(place)


def _reason(error: OSError) -> str:
    if isinstance(error, TimeoutError):
        return f"no response in {_CONNECT_SECONDS:g} s"
    if error.errno is not None and error.errno in errno.errorcode:
        return os.strerror(error.errno).lower()
    return (error.strerror or str(error)).lower()
