"""What a reload changes for connections that are open."""

from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.certificates import write_certificate
from tests.support.gateway import config_for, running_gateway
from tests.support.raw_client import raw_client
from tests.support.raw_upstream import RawUpstream
from tests.support.waiting import until

from gateway_service.config.clients import Limits, TlsConfig
from gateway_service.http1.parsing.limits import ClientTimeouts

GET = b"GET /api/x HTTP/1.1\r\nHost: a\r\nX-Tenant: 1\r\n\r\n"
POST = b"POST /api/x HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n"


async def test_open_connections_follow_a_reload(
    upstream: RawUpstream, tmp_path: Path
) -> None:
    config = config_for(upstream.port)
    strict = replace(
        config,
        dropped_headers=("x-tenant",),
        limits=Limits(header_count=8),
        client_timeouts=ClientTimeouts(keep_alive=0.2),
    )
    async with (
        running_gateway(config, tmp_path, next_config=strict) as gateway,
        raw_client(gateway.port) as client,
        raw_client(gateway.port) as talker,
    ):
        for each in (client, talker):
            await each.send(GET)
            assert (await each.answer()).status == 200
        await gateway.app.reload()

        await talker.send(GET.replace(b"Host", b"A: b\r\n" * 8 + b"Host"))
        assert (await talker.answer()).status == 431
        await client.send(GET)
        assert (await client.answer()).status == 200
        assert await client.rest(within=2) == b""
    names = [each.value("X-Tenant") for each in upstream.requests]
    assert names == ["1", "1", None]


@pytest.mark.parametrize("what", ["hsts", "key"])
async def test_what_of_tls_needs_a_restart_is_said_each_time(
    what: str, upstream: RawUpstream, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    certificate, key = write_certificate(tmp_path, "gateway.test")
    tls = TlsConfig(str(certificate), str(key))
    changes = {"hsts": 1} if what == "hsts" else {"key": "other.pem"}
    config = config_for(upstream.port, tls=tls)
    changed = replace(config, tls=replace(tls, **changes))
    async with running_gateway(config, tmp_path, next_config=changed) as gateway:
        for _ in range(2):
            await gateway.app.reload()
        assert gateway.app.control.active.config == changed
    said = caplog.messages.count("tls_change_needs_a_restart")
    assert said == (0 if what == "hsts" else 2)


async def test_limits_that_a_reload_turns_off_are_said_to_be(
    upstream: RawUpstream, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = config_for(upstream.port)
    unlimited = replace(config, rate_limits=False)
    async with running_gateway(config, tmp_path, next_config=unlimited) as gateway:
        assert "rate_limits" not in await gateway.app.readiness.warned()
        assert "rate_limits_off" not in caplog.messages
        await gateway.app.reload()
        assert "rate_limits" in await gateway.app.readiness.warned()
    assert caplog.messages.count("rate_limits_off") == 1


async def test_a_body_that_comes_during_a_reload_reaches_its_replica(
    upstream: RawUpstream, tmp_path: Path
) -> None:
    config = config_for(upstream.port)
    changed = config_for(upstream.port, idle_timeout=1.0)
    async with (
        running_gateway(config, tmp_path, next_config=changed) as gateway,
        raw_client(gateway.port) as client,
    ):
        await client.send(POST)
        await until(lambda: not any(c.is_idle for c in gateway.app.server.connections))
        await gateway.app.reload()
        await client.send(b"ok")
        assert (await client.answer()).status == 200
    assert [each.body for each in upstream.requests] == [b"ok"]
