import asyncio
import json
import time
from collections.abc import AsyncIterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.support.pools import CountingPool, pool_of
from tests.support.replica_server import ReplicaServer, replica_servers

from gateway_service.config.file import read_config
from gateway_service.operations.status import status_of
from gateway_service.operations.workers.control import ControlPlane
from gateway_service.upstreams.discovery.discovery import Discovery
from gateway_service.upstreams.discovery.look_ups import HostPort
from gateway_service.upstreams.replica import ReplicaHealth
from gateway_service.upstreams.upstream import Upstream
from gateway_service.upstreams.watching.watching import UpstreamWatch

FILE = """
[upstreams.steady]
addresses = ["http://127.0.0.1:{0}"]
slow_start = 0

[upstreams.moving]
addresses = ["http://127.0.0.1:{1}"]
slow_start = 0

[[routes]]
prefix = "/steady"
upstream = "steady"

[[routes]]
prefix = "/moving"
upstream = "moving"
rate_limit = {{ requests = 3, seconds = 60 }}
timeouts = {{ total = 0 }}
"""


class Scene:
    def __init__(self, path: Path, servers: list[ReplicaServer]) -> None:
        self.path = path
        self.servers = servers
        self.write(FILE, 0, 1)
        self.control: ControlPlane = ControlPlane(
            read_config(path, {}), lambda: read_config(path, {}), CountingPool
        )

    def write(self, text: str, *servers: int) -> None:
        ports = (self.servers[server].port for server in servers)
        self.path.write_text(text.format(*ports))

    def port_of(self, name: str) -> int | None:
        upstream = self.control.active.upstreams[name]
        replica = upstream.select()
        if replica is None:
            return None
        upstream.release(replica)
        return replica.endpoint.port


@asynccontextmanager
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    async with replica_servers(3) as servers:
        on = await asyncio.to_thread(Scene, tmp_path / "gateway.toml", servers)
        await on.control.start()
        try:
            yield on
        finally:
            await on.control.close()


async def test_replicas_are_known_when_start_returns(tmp_path: Path) -> None:
    async with scene(tmp_path) as on:
        assert on.port_of("steady") == on.servers[0].port
        assert on.port_of("moving") == on.servers[1].port


async def test_new_gateway_names_upstreams_it_waits_for_and_an_old_one_none(
    tmp_path: Path,
) -> None:
    async with scene(tmp_path) as on:
        (moving,) = on.control.active.upstreams["moving"].replicas
        moving_upstream = on.control.active.upstreams["moving"]

        moving_upstream.report(moving, ReplicaHealth.NOT_READY)
        assert await on.control.starting_fault() == "no ready replica yet: moving"
        moving_upstream.report(moving, ReplicaHealth.READY)
        assert await on.control.starting_fault() is None
        moving_upstream.report(moving, ReplicaHealth.NOT_READY)
        assert await on.control.starting_fault() is None


async def test_reload_exchanges_what_changed_and_keeps_the_rest(tmp_path: Path) -> None:
    async with scene(tmp_path) as on:
        before = on.control.active
        steady = before.upstreams["steady"].replicas[0]
        in_flight = before.upstreams["moving"].select()
        assert in_flight is not None

        await asyncio.to_thread(on.write, FILE.replace("/steady", "/firm"), 0, 2)
        assert await on.control.reload()

        active = on.control.active
        assert active.routes.match("/steady") is None
        assert active.routes.match("/firm") is not None
        assert active.upstreams["steady"] is before.upstreams["steady"]
        assert active.upstreams["steady"].replicas == (steady,)
        assert pool_of(steady).times_closed == 0
        assert on.port_of("moving") == on.servers[2].port, "asked before it takes over"
        assert pool_of(in_flight).times_closed == 0, "a request is still on its way"
        before.upstreams["moving"].release(in_flight)
        assert pool_of(in_flight).times_closed == 1


async def test_present_upstream_serves_until_its_successor_is_known(
    tmp_path: Path,
) -> None:
    async with scene(tmp_path) as on:
        on.servers[2].is_silent = True
        await asyncio.to_thread(on.write, FILE, 0, 2)
        reload = asyncio.create_task(on.control.reload())
        await asyncio.sleep(0.2)

        assert not reload.done()
        assert on.port_of("moving") == on.servers[1].port

        assert await reload


async def test_last_good_configuration_is_kept(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with scene(tmp_path) as on:
        before = on.control.active

        await asyncio.to_thread(on.path.write_text, "limits.body = -1\n")
        assert not await on.control.reload()

        assert on.control.active is before
        assert on.port_of("moving") == on.servers[1].port
        assert on.control.reloads_refused == 1
        [record] = [r for r in caplog.records if r.message == "configuration_refused"]
        assert f"{on.path}:1: limits.body must" in str(record.__dict__["faults"])

        await asyncio.to_thread(on.write, FILE, 0, 1)
        assert await on.control.reload()
        assert on.control.active.upstreams["steady"] is before.upstreams["steady"]


async def test_upstream_that_is_no_longer_named_is_retired(tmp_path: Path) -> None:
    async with scene(tmp_path) as on:
        gone = on.control.active.upstreams["moving"].replicas[0]
        one = FILE.replace("[upstreams.moving]", "[upstreams.other]")

        await asyncio.to_thread(on.write, one.replace('"moving"', '"other"'), 0, 1)
        assert await on.control.reload()

        assert set(on.control.active.upstreams) == {"steady", "other"}
        assert pool_of(gone).times_closed == 1


async def test_rate_limits_survive_a_reload(tmp_path: Path) -> None:
    async with scene(tmp_path) as on:
        route = on.control.active.routes.match("/moving")
        assert route is not None
        assert route.rate_limit is not None

        async def ask() -> float:
            assert route.rate_limit is not None
            limits = on.control.active.rate_limits
            return (
                await limits.count(route.prefix, route.rate_limit, "192.0.2.1")
            ).wait

        assert [await ask() for _ in range(3)] == [0, 0, 0]
        await on.control.reload()
        assert await ask() > 0


async def test_a_store_that_cannot_be_used_is_refused(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with scene(tmp_path) as on:
        before = on.control.active
        for url in ("valkey://127.0.0.1:99999", "valkey://127.0.0.1?socket_timeout=x"):
            with_store = f'rate_limit_store = "{url}"\n{FILE}'
            await asyncio.to_thread(on.write, with_store, 0, 1)
            assert not await on.control.reload()
        assert on.control.active is before
        assert on.control.reloads_refused == 2
    assert caplog.messages.count("configuration_refused") == 2


async def test_reloads_do_not_overtake_each_other(tmp_path: Path) -> None:
    before = asyncio.all_tasks()
    async with scene(tmp_path) as on:
        await asyncio.to_thread(on.write, FILE, 0, 2)

        assert await asyncio.gather(*(on.control.reload() for _ in range(4)))

        assert on.port_of("moving") == on.servers[2].port
        assert len(on.control.active.upstreams["moving"].replicas) == 1
    assert asyncio.all_tasks() == before, "one of them was forgotten"


async def test_a_reload_while_names_are_looked_up_ends_nothing(tmp_path: Path) -> None:
    before, looked_up = asyncio.all_tasks(), set[int]()

    async def look_up(_: str, port: int) -> list[HostPort]:
        if port not in looked_up:
            looked_up.add(port)
            await asyncio.sleep(0.3)
        return [("127.0.0.1", port)]

    def watch(upstream: Upstream) -> UpstreamWatch:
        addresses = upstream.config.addresses
        return UpstreamWatch(upstream, Discovery(addresses, 0, look_up_name=look_up))

    path = tmp_path / "gateway.toml"
    async with replica_servers(2) as servers:
        text = FILE.replace("127.0.0.1", "slow").format(*(s.port for s in servers))
        await asyncio.to_thread(path.write_text, text)
        config = await asyncio.to_thread(read_config, path, {})
        changed = replace(
            config,
            upstreams=tuple(
                replace(each, idle_timeout=5.0) for each in config.upstreams
            ),
        )
        control: ControlPlane = ControlPlane(
            config, lambda: changed, CountingPool, watch=watch
        )
        starting = asyncio.create_task(control.start())
        await asyncio.sleep(0.05)
        assert await control.reload()
        await starting
        assert control.active.upstreams["steady"].is_ready
        assert control.active.config is changed
        await control.close()
    assert asyncio.all_tasks() == before


class SlowFirst(ThreadPoolExecutor):
    """Begins with its first job late."""

    seconds = 0.5

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:  # noqa: ANN401
        seconds, self.seconds = self.seconds, 0.0

        def job() -> Any:  # noqa: ANN401 - what it returns
            time.sleep(seconds)
            return fn(*args, **kwargs)

        return super().submit(job)


async def test_a_reload_before_the_first_look_starts_nothing_twice(
    tmp_path: Path,
) -> None:
    before, path = asyncio.all_tasks(), tmp_path / "gateway.toml"
    async with replica_servers(2) as servers:
        text = FILE.format(*(s.port for s in servers))
        await asyncio.to_thread(path.write_text, text)
        config = await asyncio.to_thread(read_config, path, {})
        config = replace(config, rate_limit_store="valkey://127.0.0.1:1")
        upstreams = tuple(replace(u, idle_timeout=5.0) for u in config.upstreams)
        changed = replace(config, upstreams=upstreams)
        control = ControlPlane(config, lambda: changed, CountingPool)
        asyncio.get_running_loop().set_default_executor(SlowFirst())
        await asyncio.gather(control.start(), control.reload())
        await control.close()
    assert asyncio.all_tasks() == before


async def test_nothing_is_left_running_after_close(tmp_path: Path) -> None:
    before = asyncio.all_tasks()
    async with scene(tmp_path) as on:
        await on.control.reload()
        pools = [pool_of(u.replicas[0]) for u in on.control.active.upstreams.values()]

    assert asyncio.all_tasks() == before
    assert [pool.times_closed for pool in pools] == [1, 1]


async def test_time_is_let_pass_for_the_upstreams(tmp_path: Path) -> None:
    async with scene(tmp_path) as on:
        budget = on.control.active.upstreams["steady"].retry_budget
        while budget.withdraw():
            pass

        await asyncio.sleep(0.6)

        assert budget.withdraw()


async def test_status_shows_routes_replicas_and_load(tmp_path: Path) -> None:
    async with scene(tmp_path) as on:
        on.control.active.upstreams["steady"].select()

        status = json.loads(json.dumps(status_of(on.control), allow_nan=False))

    assert status["routes"][1] == {
        "prefix": "/moving",
        "upstream": "moving",
        "methods": ["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"],
        "body_limit": 1_048_576,
        "timeouts": {
            "connect": 1.0,
            "response_head": 10.0,
            "idle": 30.0,
            "total": None,
        },
        "rate_limit": "3 in 60 s",
    }
    steady = status["upstreams"]["steady"]
    assert steady["in_flight"] == 1
    assert steady["unresolved"] == {}
    assert steady["replicas"] == [
        {
            "address": f"127.0.0.1:{on.servers[0].port}",
            "readiness": "ready",
            "in_flight": 1,
            "requests": 1,
            "failures_in_a_row": 0,
            "ejected_for": 0.0,
            "ejections": 0,
            "share": 1.0,
        }
    ]
    assert status["rate_limits"] == {
        "store": "memory",
        "counting_alone": False,
        "refused": 0,
    }
