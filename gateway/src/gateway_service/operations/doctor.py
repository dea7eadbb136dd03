"""Check what the gateway needs, before or while it runs."""

import asyncio
import errno
import os
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Final

from gateway_service.config.clients import TlsConfig
from gateway_service.config.faults import ConfigError
from gateway_service.config.file import read_config
from gateway_service.config.model import RateLimit, UpstreamConfig
from gateway_service.config.values import MEMORY
from gateway_service.operations.tls import Certificate
from gateway_service.proxy.rate_limits import SharedCounter
from gateway_service.settings import GatewaySettings
from gateway_service.upstreams.discovery import Discovery
from gateway_service.upstreams.endpoint import Endpoint
from gateway_service.upstreams.health_checks import ProbeResult, probe
from service_kit.doctor import Finding, fault

BAD_CONFIGURATION: Final = 2
_CONNECT_SECONDS: Final = 2.0


def check(path: Path, environ: Mapping[str, str]) -> int:
    """Write every fault of the configuration; return the exit code."""
    try:
        config = read_config(path, environ)
    except ConfigError as error:
        for each in error.faults:
            sys.stderr.write(f"{each}\n")
        return BAD_CONFIGURATION
    sys.stdout.write(
        f"{path}: {len(config.routes)} routes to {len(config.upstreams)} upstreams\n"
    )
    return 0


async def diagnose(
    settings: GatewaySettings, environ: Mapping[str, str]
) -> AsyncIterator[Finding]:
    """Yield a finding for the configuration, and for everything it names."""
    try:
        config = await asyncio.to_thread(read_config, settings.config, environ)
    except ConfigError as error:
        for each in error.faults:
            yield fault(each)
        return
    yield Finding(str(settings.config))
    for host, port in (
        (settings.host, settings.port),
        (settings.internal_host, settings.internal_port),
    ):
        yield await asyncio.to_thread(_port_is_free, host, port)
    if config.tls is not None:
        yield await asyncio.to_thread(_certificate_loads, config.tls)
    if config.rate_limit_store != MEMORY:
        yield await _store_answers(config.rate_limit_store)
    for upstream in config.upstreams:
        async for finding in _examine_upstream(upstream):
            yield finding


async def _examine_upstream(upstream: UpstreamConfig) -> AsyncIterator[Finding]:
    discovery = Discovery(upstream.addresses, upstream.health.port)
    endpoints = await discovery.endpoints()
    for name, reason in discovery.faults.items():
        yield fault(f"{upstream.name}: name {name}", reason)
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
        return fault(place, _reason(error))
    if not upstream.health.path:
        return Finding(place, "reachable, and not probed")
    result = (await probe(endpoint, upstream.health)).result
    asked = f"port {endpoint.probe_port} {upstream.health.path}: {result.value}"
    return Finding(place, asked, is_good=result is ProbeResult.READY)


def _port_is_free(host: str, port: int) -> Finding:
    place = f"listen on {host}:{port}"
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with closing(socket.socket(family)) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
    except OSError as error:
        return fault(place, _reason(error))
    return Finding(place)


def _certificate_loads(tls: TlsConfig) -> Finding:
    place = f"certificate {tls.certificate}"
    try:
        Certificate(tls)
    except OSError as error:
        return fault(place, _reason(error))
    return Finding(place)


async def _store_answers(url: str) -> Finding:
    place = f"rate limits in {url.partition('://')[0]}"
    counter = await asyncio.to_thread(SharedCounter, url)
    try:
        async with asyncio.timeout(_CONNECT_SECONDS):
            await counter.wait("doctor", RateLimit(requests=1_000_000, seconds=1))
    except Exception as error:  # noqa: BLE001 - any failure is a finding
        return fault(place, type(error).__name__)
    finally:
        await counter.close()
    return Finding(place)


def _reason(error: OSError) -> str:
    if isinstance(error, TimeoutError):
        return f"no response in {_CONNECT_SECONDS:g} s"
    if error.errno is not None and error.errno in errno.errorcode:
        return os.strerror(error.errno).lower()
    return (error.strerror or str(error)).lower()
