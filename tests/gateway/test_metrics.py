"""Each metric moves when that happens which it is there to show."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from tests.support.certificates import write_certificate
from tests.support.gateway import RunningGateway, config_for, running_gateway
from tests.support.ports import free_ports
from tests.support.raw_client import ask, raw_client
from tests.support.raw_upstream import OK, RawUpstream, once, raw_upstream
from tests.support.replica_server import not_ready, replica_servers
from tests.support.waiting import until

from gateway_service.config.clients import RateLimit, TlsConfig
from gateway_service.config.model import EjectionConfig, HealthConfig, RetryConfig
from gateway_service.config.values import Balance
from gateway_service.operations.x509 import not_after

GET = b"GET /api/x HTTP/1.1\r\nHost: a\r\n\r\n"
FAILURE = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 3\r\n\r\nbad"


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[RunningGateway]:
    """A gateway before a replica that fails and one that is well, asked in turn."""
    async with raw_upstream() as bad, raw_upstream() as good:
        bad.script = once(FAILURE)
        config = config_for(
            bad.port,
            good.port,
            balance=Balance.ROUND_ROBIN,
            ejection=EjectionConfig(failures=2),
        )
        async with running_gateway(config, tmp_path) as gateway:
            yield gateway


async def test_a_failing_replica_moves_failures_retries_and_ejections(
    pair: RunningGateway,
) -> None:
    value = pair.metric
    full = value("upstream_retries_left", upstream="content")

    for _ in range(4):
        assert (await ask(pair.port, GET)).status == 200

    assert value("upstream_failures_total", upstream="content", failure="status") == 2
    assert value("retries_total", upstream="content") == 2
    assert value("ejections_total", upstream="content") == 1
    assert value("upstream_retries_left", upstream="content") < full


async def test_busy_and_idle_connections_to_replicas_are_counted_apart(
    gateway: RunningGateway, upstream: RawUpstream
) -> None:
    value = gateway.metric
    upstream.script = once(ends=False)

    async with raw_client(gateway.port) as client:
        await client.send(GET)
        await until(lambda: upstream.requests)
        busy = value("upstream_connections", upstream="content", state="busy")
        in_flight = value("upstream_in_flight", upstream="content")
        connected = value("client_connections")

    assert (busy, in_flight, connected) == (1, 1, 1)
    assert value("client_connections_limit") > 1
    await until(lambda: not value("upstream_in_flight", upstream="content"))


async def test_what_is_refused_for_want_of_room_is_counted(
    upstream: RawUpstream, tmp_path: Path
) -> None:
    upstream.script = once(ends=False)
    config = config_for(upstream.port, max_in_flight=1)
    async with running_gateway(config, tmp_path) as gateway:
        value = gateway.metric
        async with raw_client(gateway.port) as client:
            await client.send(GET)
            await until(lambda: upstream.requests)
            assert (await ask(gateway.port, GET)).status == 503
        assert value("shed_total", upstream="content") == 1
        assert value("upstream_limit", upstream="content") == 1


async def test_lines_that_a_full_disk_takes_none_of_are_counted(
    upstream: RawUpstream, tmp_path: Path
) -> None:
    config = config_for(upstream.port)
    async with running_gateway(config, tmp_path, access_log="/dev/full") as gateway:
        assert gateway.metric("access_log_dropped_total") == 0
        assert (await ask(gateway.port, GET)).status == 200
        await until(lambda: gateway.metric("access_log_dropped_total") == 1)


async def test_a_hedge_that_wins_is_counted(tmp_path: Path) -> None:
    async with raw_upstream() as slow, raw_upstream() as quick:
        slow.script = once(ends=False)
        config = config_for(
            slow.port,
            quick.port,
            balance=Balance.ROUND_ROBIN,
            retries=RetryConfig(attempt_timeout=0.1),
        )
        async with running_gateway(config, tmp_path) as gateway:
            value = gateway.metric
            for _ in range(2):
                assert (await ask(gateway.port, GET)).status == 200
            assert value("hedges_total", upstream="content") >= 1
            assert value("hedges_won_total", upstream="content") >= 1


async def test_a_shared_store_that_is_away_shows(
    upstream: RawUpstream, tmp_path: Path
) -> None:
    [closed] = free_ports(1)
    config = config_for(
        upstream.port,
        rate_limit=RateLimit(requests=10, seconds=60),
        rate_limit_store=f"valkey://127.0.0.1:{closed}",
    )
    async with running_gateway(config, tmp_path) as gateway:
        value = gateway.metric
        assert value("rate_limit_store_away") == 0
        assert (await ask(gateway.port, GET)).status == 200
        assert value("rate_limit_store_away") == 1


async def test_an_open_connection_without_work_is_idle(
    gateway: RunningGateway,
) -> None:
    await ask(gateway.port, GET)

    value = gateway.metric
    assert value("upstream_connections", upstream="content", state="idle") == 1


async def test_problems_are_counted_by_route_and_code(
    upstream: RawUpstream, tmp_path: Path
) -> None:
    limit = RateLimit(requests=1, seconds=60)
    async with running_gateway(
        config_for(upstream.port, rate_limit=limit), tmp_path
    ) as gateway:
        value = gateway.metric
        for path in (b"/api/x", b"/api/x", b"/nothing"):
            await ask(gateway.port, GET.replace(b"/api/x", path))

        limited = value("problems_total", route="/api", code="too_many_requests")
        absent = value("problems_total", route="none", code="not_found")
    assert (limited, absent, value("rate_limited_total")) == (1, 1, 1)


async def test_probes_are_counted_by_what_they_found(tmp_path: Path) -> None:
    async with replica_servers(1) as [server]:
        server.answer = not_ready()
        health = HealthConfig(interval=0.05)
        config = config_for(server.port, health=health)
        async with running_gateway(config, tmp_path) as gateway:
            value = gateway.metric
            await until(
                lambda: value("probes_total", upstream="content", result="not ready")
            )


async def test_a_name_that_is_not_found_is_counted(tmp_path: Path) -> None:
    [port] = free_ports(1)
    config = config_for(port)
    async with running_gateway(config, tmp_path) as gateway:
        watch = gateway.app.control.watches["content"]
        assert isinstance(watch.faults, dict)
        watch.faults["no-such-name.invalid"] = "not found"
        value = gateway.metric
        assert value("upstream_names_unresolved", upstream="content") == 1


async def test_reloads_move_the_time_of_the_configuration(
    upstream: RawUpstream, tmp_path: Path
) -> None:
    async with running_gateway(config_for(upstream.port), tmp_path) as gateway:
        value, control = gateway.metric, gateway.app.control
        before = value("configuration_timestamp_seconds")
        await control.reload()
        assert value("reloads_total", result="used") == 1
        assert value("configuration_timestamp_seconds") > before


async def test_the_end_of_the_certificate_is_told(
    upstream: RawUpstream, tmp_path: Path
) -> None:
    certificate, key = await asyncio.to_thread(write_certificate, tmp_path, "a.test")
    pem = await asyncio.to_thread(certificate.read_bytes)
    tls = TlsConfig(certificate=str(certificate), key=str(key))
    config = config_for(upstream.port, tls=tls)
    async with running_gateway(config, tmp_path) as gateway:
        expiry = gateway.metric("certificate_expiry_timestamp_seconds")

    expected = x509.load_pem_x509_certificate(pem).not_valid_after_utc
    assert expiry == expected.timestamp()


@pytest.mark.parametrize("year", [2049, 2050, 2125])
def test_dates_of_both_forms_are_read(year: int, tmp_path: Path) -> None:
    moment = datetime(year, 6, 30, 12, 30, 15, tzinfo=UTC)
    certificate, _ = write_certificate(
        tmp_path, "a.test", lasts=moment - datetime.now(UTC)
    )

    assert abs(not_after(certificate.read_bytes()) - moment) < timedelta(minutes=1)


def test_what_holds_no_certificate_is_refused() -> None:
    with pytest.raises(ValueError, match="no certificate"):
        not_after(OK)
