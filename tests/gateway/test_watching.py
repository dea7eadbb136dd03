"""Replicas that come, go, fall ill and recover, on real sockets."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

from tests.support.pools import CountingPool, pool_of
from tests.support.replica_server import ReplicaServer, not_ready, replica_servers

from gateway_service.config.model import HealthConfig, UpstreamConfig
from gateway_service.config.values import Address
from gateway_service.upstreams.discovery.discovery import Discovery
from gateway_service.upstreams.discovery.look_ups import HostPort
from gateway_service.upstreams.failures import FailureKind
from gateway_service.upstreams.replica import ReplicaHealth
from gateway_service.upstreams.upstream import Upstream
from gateway_service.upstreams.watching.watching import UpstreamWatch, repeat

CONFIG = UpstreamConfig(
    "content",
    (Address("content", 1),),
    resolve_interval=0.1,
    slow_start=0,
    health=HealthConfig(interval=0.1, timeout=0.5, failures=2),
)


class Scene:
    """A watched upstream whose name stands for the servers in `named`."""

    def __init__(self, servers: list[ReplicaServer], config: UpstreamConfig) -> None:
        self.servers = servers
        self.named = list(servers)
        self.upstream: Upstream = Upstream(config, CountingPool)
        discovery = Discovery(config.addresses, 0, look_up_name=self._look_up)
        self.watch = UpstreamWatch(self.upstream, discovery)

    async def _look_up(self, _: str, __: int) -> list[HostPort]:
        return [("127.0.0.1", server.port) for server in self.named]

    def usable(self) -> set[int]:
        """Return the positions of the servers that requests reach now."""
        reached = set()
        for _ in range(100):
            replica = self.upstream.select()
            if replica is not None:
                reached.add(replica.endpoint.port)
                self.upstream.release(replica)
        return {i for i, server in enumerate(self.servers) if server.port in reached}

    async def until(self, condition: Callable[[], bool], seconds: float) -> None:
        started_at = time.monotonic()
        while not condition():
            assert time.monotonic() < started_at + seconds, "took too long"
            await asyncio.sleep(0.01)


@asynccontextmanager
async def scene(count: int, config: UpstreamConfig = CONFIG) -> AsyncIterator[Scene]:
    async with replica_servers(count) as servers:
        the_scene = Scene(servers, config)
        await the_scene.watch.start()
        try:
            yield the_scene
        finally:
            await the_scene.watch.stop()


async def test_start_returns_when_the_replicas_have_been_asked() -> None:
    async with scene(3) as on:
        assert on.usable() == {0, 1, 2}


async def test_start_does_not_wait_for_a_silent_replica_for_long() -> None:
    async with replica_servers(2) as servers:
        servers[1].is_silent = True
        on = Scene(servers, CONFIG)
        async with asyncio.timeout(3):
            await on.watch.start()

        assert on.usable() == {0}
        await on.watch.stop()


async def test_start_does_not_wait_for_a_replica_that_is_not_there() -> None:
    config = replace(CONFIG, health=replace(CONFIG.health, timeout=30))
    async with replica_servers(1) as servers:
        await servers[0].stop()
        on = Scene(servers, config)
        async with asyncio.timeout(10):
            await on.watch.start()
        await on.watch.stop()


async def test_readiness_503_takes_a_replica_out_with_the_next_probe() -> None:
    async with scene(2) as on:
        on.servers[0].answer = not_ready()
        await on.until(lambda: on.usable() == {1}, seconds=5)

        on.servers[0].answer = on.servers[1].answer
        await on.until(lambda: on.usable() == {0, 1}, seconds=5)


async def test_killed_replica_is_out_and_comes_back_when_it_does() -> None:
    async with scene(2) as on:
        await on.servers[1].stop()
        await on.until(lambda: on.usable() == {0}, seconds=5)

        await on.servers[1].start()
        await on.until(lambda: on.usable() == {0, 1}, seconds=5)


async def test_frozen_replica_is_out_after_two_silent_probes() -> None:
    async with scene(2) as on:
        on.servers[0].is_silent = True
        await on.until(lambda: on.usable() == {1}, seconds=5)

        on.servers[0].is_silent = False
        await on.until(lambda: on.usable() == {0, 1}, seconds=5)


async def test_upstream_whose_replicas_are_all_down_recovers() -> None:
    async with scene(2) as on:
        for server in on.servers:
            await server.stop()
        await on.until(lambda: on.usable() == set(), seconds=5)

        for server in on.servers:
            await server.start()
        await on.until(lambda: on.usable() == {0, 1}, seconds=5)


async def test_recovered_replica_is_forgiven_its_ejection() -> None:
    async with scene(2) as on:
        replica = on.upstream.replicas[0]
        replica.failed(FailureKind.REFUSED)
        position = [s.port for s in on.servers].index(replica.endpoint.port)
        assert on.usable() == {0, 1} - {position}

        await on.servers[position].stop()
        await on.until(lambda: replica.health is ReplicaHealth.UNREACHABLE, seconds=5)
        await on.servers[position].start()
        await on.until(lambda: on.usable() == {0, 1}, seconds=5)


async def test_scaling_from_one_to_five_to_two_follows_the_name() -> None:
    async with scene(5) as on:
        on.named = on.servers[:1]
        await on.until(lambda: on.usable() == {0}, seconds=5)
        kept = on.upstream.replicas[0]

        on.named = on.servers
        await on.until(lambda: on.usable() == {0, 1, 2, 3, 4}, seconds=5)
        gone = on.servers[4].port
        leaving = next(r for r in on.upstream.replicas if r.endpoint.port == gone)
        leaving.in_flight += 1
        on.upstream.in_flight += 1

        on.named = on.servers[:2]
        await on.until(lambda: on.usable() == {0, 1}, seconds=5)
        assert kept in on.upstream.replicas
        assert pool_of(kept).times_closed == 0
        assert pool_of(leaving).times_closed == 0
        on.upstream.release(leaving)
        assert pool_of(leaving).times_closed == 1
        probes_of_the_departed = len(on.servers[4].requests)
        await asyncio.sleep(0.3)
        assert len(on.servers[4].requests) == probes_of_the_departed


def test_replica_that_joins_takes_traffic_within_six_seconds_by_default() -> None:
    """It is found in the next round and probed at once; nothing else is waited for."""
    config = UpstreamConfig("content", ())

    assert config.resolve_interval + config.health.timeout <= 6


async def test_upstream_without_probes_uses_what_it_finds() -> None:
    config = replace(CONFIG, health=HealthConfig(path=""))
    async with scene(2, config) as on:
        for server in on.servers:
            await server.stop()

        assert on.usable() == {0, 1}
        assert on.servers[0].requests == []


async def test_stopped_watch_asks_no_more() -> None:
    async with scene(1) as on:
        await on.watch.stop()
        before = len(on.servers[0].requests)
        await asyncio.sleep(0.3)

        assert len(on.servers[0].requests) == before
        assert all(replica.retired for replica in on.upstream.replicas)


async def test_step_that_fails_ends_no_repetition() -> None:
    calls = 0
    done = asyncio.Event()

    async def step() -> None:
        nonlocal calls
        calls += 1
        if calls == 3:
            done.set()
        raise OSError(calls)

    task = asyncio.create_task(repeat(step, 0.01))
    async with asyncio.timeout(5):
        await done.wait()
    task.cancel()
