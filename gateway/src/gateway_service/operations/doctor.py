"""Say what works and what does not, before or while the gateway runs."""

import asyncio
import errno
import os
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Final, NamedTuple

from gateway_service.config.faults import ConfigError
from gateway_service.config.file import read_config
from gateway_service.config.model import RateLimit, TlsConfig, UpstreamConfig
from gateway_service.config.values import MEMORY
from gateway_service.operations.tls import Certificate
from gateway_service.proxy.rate_limits import SharedCounter
from gateway_service.settings import GatewaySettings
from gateway_service.upstreams.discovery import Discovery
from gateway_service.upstreams.endpoint import Endpoint
from gateway_service.upstreams.health_checks import ProbeResult, probe

FAULTY: Final = 1
BAD_CONFIGURATION: Final = 2
_CONNECT_SECONDS: Final = 2.0


class Finding(NamedTuple):
    """One line of the report."""

    is_good: bool
    text: str

    def __str__(self) -> str:
        return f"{'ok  ' if self.is_good else 'FAIL'} {self.text}"


def check(path: Path, environ: Mapping[str, str]) -> int:
    """Write every fault of the configuration; return the exit code."""
    try:
        config = read_config(path, environ)
    except ConfigError as error:
        for fault in error.faults:
            sys.stderr.write(f"{fault}\n")
        return BAD_CONFIGURATION
    sys.stdout.write(
        f"{path}: {len(config.routes)} routes to {len(config.upstreams)} upstreams\n"
    )
    return 0


async def doctor(settings: GatewaySettings, environ: Mapping[str, str]) -> int:
    """Write one line for each thing looked at; return the exit code."""
    all_good = True
    async for finding in examine(settings, environ):
        sys.stdout.write(f"{finding}\n")
        all_good = all_good and finding.is_good
    return 0 if all_good else FAULTY


async def examine(
    settings: GatewaySettings, environ: Mapping[str, str]
) -> AsyncIterator[Finding]:
    """Look at the configuration, and at everything it names."""
    try:
        config = await asyncio.to_thread(read_config, settings.config, environ)
    except ConfigError as error:
        for fault in error.faults:
            yield Finding(is_good=False, text=fault)
        return
    yield Finding(is_good=True, text=str(settings.config))
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
    for name, fault in discovery.faults.items():
        yield Finding(is_good=False, text=f"{upstream.name}: name {name}: {fault}")
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
        return Finding(is_good=False, text=f"{place}: {_reason(error)}")
    if not upstream.health.path:
        return Finding(is_good=True, text=f"{place}: reachable, and not probed")
    result = await probe(endpoint, upstream.health)
    asked = f"port {endpoint.probe_port} {upstream.health.path}: {result.value}"
    return Finding(is_good=result is ProbeResult.READY, text=f"{place}: {asked}")


def _port_is_free(host: str, port: int) -> Finding:
    place = f"listen on {host}:{port}"
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with closing(socket.socket(family)) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
    except OSError as error:
        return Finding(is_good=False, text=f"{place}: {_reason(error)}")
    return Finding(is_good=True, text=place)


def _certificate_loads(tls: TlsConfig) -> Finding:
    place = f"certificate {tls.certificate}"
    try:
        Certificate(tls)
    except OSError as error:
        return Finding(is_good=False, text=f"{place}: {_reason(error)}")
    return Finding(is_good=True, text=place)


async def _store_answers(url: str) -> Finding:
    place = f"rate limits in {url.partition('://')[0]}"
    counter = await asyncio.to_thread(SharedCounter, url)
    try:
        async with asyncio.timeout(_CONNECT_SECONDS):
            await counter.wait("doctor", RateLimit(requests=1_000_000, seconds=1))
    except Exception as error:  # noqa: BLE001 - any failure is a finding
        return Finding(is_good=False, text=f"{place}: {type(error).__name__}")
    finally:
        await counter.close()
    return Finding(is_good=True, text=place)


def _reason(error: OSError) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer in {_CONNECT_SECONDS:g} s"
    if error.errno is not None and error.errno in errno.errorcode:
        return os.strerror(error.errno).lower()
    return (error.strerror or str(error)).lower()
