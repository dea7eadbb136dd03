"""Workers of one gateway share what they know and count."""

import asyncio
import json
import os
import signal
import time
import urllib.request
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.gateway.test_workers import replace_workers, until, worker_pids
from tests.support.gateway import config_for
from tests.support.gateway_process import GatewayProcess, gateway_process
from tests.support.raw_client import RawClient, ask, raw_client
from tests.support.raw_upstream import RawUpstream
from tests.support.replica_server import ReplicaServer, not_ready, replica_servers

from gateway_service.config.model import HealthConfig
from gateway_service.operations.workers.messages import from_line
from gateway_service.operations.workers.monitor import UpstreamMonitor
from gateway_service.upstreams.replica import ReplicaHealth

GET = b"GET /api/x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
LASTING = b"GET /api/x HTTP/1.1\r\nHost: a\r\n\r\n"

PROBED = """
[upstreams.probed]
addresses = ["http://127.0.0.1:{port}"]
[upstreams.probed.health]
path = "/readyz"
interval = 0.25
[[routes]]
prefix = "/probed"
upstream = "probed"
"""


async def status_of(gateway: GatewayProcess, worker: int) -> Any:  # noqa: ANN401 - JSON
    def read() -> bytes:
        port = gateway.internal_port + worker
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/status") as answer:
            return bytes(answer.read())

    return json.loads(await asyncio.to_thread(read))


async def until_readiness(gateway: GatewayProcess, workers: int, wanted: str) -> None:
    async with asyncio.timeout(10):
        for worker in range(workers):
            while True:
                upstream = (await status_of(gateway, worker))["upstreams"]["probed"]
                if [each["readiness"] for each in upstream["replicas"]] == [wanted]:
                    break
                await asyncio.sleep(0.05)


@asynccontextmanager
async def probing_gateway(
    folder: Path, upstream: RawUpstream, replica: ReplicaServer, *, workers: int = 2
) -> AsyncIterator[GatewayProcess]:
    """Run a gateway whose every worker knows that the replica is ready."""
    config = PROBED.format(port=replica.port)
    async with gateway_process(
        folder, upstream.port, workers=workers, more_config=config
    ) as gateway:
        await until_readiness(gateway, workers, "ready")
        yield gateway


async def test_workers_cost_an_upstream_the_probes_of_one(
    upstream: RawUpstream, tmp_path: Path
) -> None:
    async with (
        replica_servers(1) as (replica,),
        probing_gateway(tmp_path, upstream, replica, workers=3),
    ):
        before, started_at = len(replica.requests), time.monotonic()
        await asyncio.sleep(3)
        probes = len(replica.requests) - before
        possible = (time.monotonic() - started_at) / (0.25 * 0.9) + 1
        assert 0 < probes <= possible


async def test_every_worker_knows_what_one_probe_found(
    upstream: RawUpstream, tmp_path: Path
) -> None:
    async with (
        replica_servers(1) as (replica,),
        probing_gateway(tmp_path, upstream, replica) as gateway,
    ):
        replica.answer = not_ready()
        await until_readiness(gateway, 2, "not_ready")
        await replace_workers(gateway)
        await until_readiness(gateway, 2, "not_ready")
        await replica.stop()
        await until_readiness(gateway, 2, "unreachable")
        await replica.start()
        replica.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
        await until_readiness(gateway, 2, "ready")
    joined = [line for line in gateway.events().splitlines() if "readiness" in line]
    assert sum('"not_ready"' in line for line in joined) == 1


async def test_a_reload_gives_every_worker_the_new_upstreams(
    upstream: RawUpstream, tmp_path: Path
) -> None:
    async with (
        replica_servers(2) as (first, second),
        probing_gateway(tmp_path, upstream, first) as gateway,
    ):
        text = gateway.config.read_text()
        gateway.config.write_text(text.replace(str(first.port), str(second.port)))
        gateway.process.send_signal(signal.SIGHUP)
        await until(lambda: gateway.events().count("configuration_reloaded") >= 2)
        for worker in range(2):
            found = (await status_of(gateway, worker))["upstreams"]["probed"]
            assert found["replicas"][0]["address"] == f"127.0.0.1:{second.port}"
            assert found["replicas"][0]["readiness"] == "ready"


async def test_workers_use_no_replica_that_is_not_ready_while_a_reload_probes_it() -> (
    None
):
    delivered: list[bytes] = []
    monitor = UpstreamMonitor(asyncio.get_running_loop(), delivered.append)
    async with replica_servers(2) as (ready, other):
        other.answer = not_ready()
        config = config_for(ready.port, other.port, health=HealthConfig())
        await monitor.adopt(config)
        delivered.clear()
        (upstream,) = config.upstreams
        changed = replace(upstream, max_in_flight=upstream.max_in_flight + 1)
        await monitor.adopt(replace(config, upstreams=(changed,)))
        await monitor.stop()
    found = [from_line(line).replicas.values() for line in delivered]
    assert found
    for healths in found:
        assert [*healths] == [ReplicaHealth.READY, ReplicaHealth.NOT_READY]


async def test_an_end_during_a_reload_ends_all_watches() -> None:
    before = asyncio.all_tasks()
    monitor = UpstreamMonitor(asyncio.get_running_loop(), lambda _: None)
    async with replica_servers(2) as (first, second):
        second.is_silent = True
        configs = [
            config_for(each.port, health=HealthConfig(timeout=60))
            for each in (first, second)
        ]
        await monitor.adopt(configs[0])
        reload = asyncio.create_task(monitor.adopt(configs[1]))
        await until(lambda: second.requests != [])
        reload.cancel()
        await monitor.stop()
        await asyncio.wait((reload,))
    assert asyncio.all_tasks() == before


async def test_a_reload_during_a_slow_first_look_is_what_is_watched_in_the_end() -> (
    None
):
    monitor = UpstreamMonitor(asyncio.get_running_loop(), lambda _: None)
    async with replica_servers(2) as (first, second):
        first.is_silent = True
        configs = [
            config_for(each.port, health=HealthConfig(timeout=0.2))
            for each in (first, second)
        ]
        await asyncio.gather(*map(monitor.adopt, configs))
        (line,) = monitor.lines.splitlines()
        await monitor.stop()
    (replica,) = from_line(line).replicas
    assert replica.port == second.port


@pytest.mark.parametrize("unread", [0, 2_000_000])
async def test_workers_use_the_file_as_their_supervisor_read_it(
    unread: int, upstream: RawUpstream, tmp_path: Path
) -> None:
    """They get to it only when it holds something else, and read much before."""
    async with (
        replica_servers(2) as (first, second),
        probing_gateway(tmp_path, upstream, first) as gateway,
    ):
        for pid in worker_pids(gateway):
            os.kill(pid, signal.SIGSTOP)
        text = gateway.config.read_text()
        if unread:
            gateway.config.write_text(f"#{'x' * unread}\n{text}")
            gateway.process.send_signal(signal.SIGHUP)
            await asyncio.sleep(0.5)
        gateway.config.write_text(text.replace(str(first.port), str(second.port)))
        gateway.process.send_signal(signal.SIGHUP)
        await until(lambda: second.requests != [])  # the supervisor's probe
        await asyncio.sleep(0.5)
        gateway.config.write_text("routes = [")
        for pid in worker_pids(gateway):
            os.kill(pid, signal.SIGCONT)
        times = 4 if unread else 2
        await until(lambda: gateway.events().count("configuration_reloaded") >= times)
        for worker in range(2):
            found = (await status_of(gateway, worker))["upstreams"]["probed"]
            assert found["replicas"][0]["address"] == f"127.0.0.1:{second.port}"
    assert "configuration_refused" not in gateway.events()


async def test_one_worker_alone_counts_the_probes(
    upstream: RawUpstream, tmp_path: Path
) -> None:
    async with (
        replica_servers(1) as (replica,),
        probing_gateway(tmp_path, upstream, replica) as gateway,
    ):
        replica.answer = not_ready()
        await until_readiness(gateway, 2, "not_ready")
        first, second = [
            await probes_of(gateway, worker, 'result="ready"') for worker in range(2)
        ]
        assert 1 <= first <= len(replica.requests)
        assert second == 0


async def probes_of(gateway: GatewayProcess, worker: int, labels: str) -> float:
    def read() -> str:
        port = gateway.internal_port + worker
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
            return str(answer.read().decode())

    lines = (await asyncio.to_thread(read)).splitlines()
    found = [line for line in lines if line.startswith("gateway_probes_total{")]
    return sum(float(line.split()[-1]) for line in found if labels in line)


async def test_a_limit_of_rates_is_one_limit_for_all_workers(
    upstream: RawUpstream, tmp_path: Path
) -> None:
    limit = "rate_limit = { requests = 10, seconds = 60 }\n"
    async with gateway_process(
        tmp_path, upstream.port, workers=2, more_config=limit
    ) as gateway:
        answers = await asyncio.gather(*(ask(gateway.port, GET) for _ in range(30)))
        refused = [
            (await status_of(gateway, worker))["rate_limits"]["refused"]
            for worker in range(2)
        ]
    assert sorted(each.status for each in answers) == [200] * 10 + [429] * 20
    assert sum(refused) == 20


async def test_a_limit_of_connections_counts_those_of_all_workers(
    upstream: RawUpstream, tmp_path: Path
) -> None:
    limit = "[limits]\nconnections_per_client = 12\n"

    async def opened(stack: AsyncExitStack, count: int) -> list[int]:
        clients: list[RawClient] = [
            await stack.enter_async_context(raw_client(gateway.port))
            for _ in range(count)
        ]
        for client in clients:
            await client.send(LASTING)
        return [(await client.answer()).status for client in clients]

    async with (
        gateway_process(
            tmp_path, upstream.port, workers=2, more_config=limit
        ) as gateway,
        AsyncExitStack() as stack,
    ):
        assert sorted(await opened(stack, 20)) == [200] * 12 + [503] * 8
        # What the connections of a dead worker took is free again.
        await replace_workers(gateway)
        assert sorted(await opened(stack, 12)) == [200] * 12
