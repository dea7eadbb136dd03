import asyncio
import socket
from typing import cast

import pytest
from dns.asyncresolver import Resolver

from gateway_service.config.values import Address
from gateway_service.upstreams.discovery.discovery import Discovery
from gateway_service.upstreams.discovery.look_ups import (
    HostPort,
    addresses_of_name,
    targets_of_service,
)
from gateway_service.upstreams.endpoint import Endpoint

NAME = Address("content", 8002)


class FakeNames:
    """A name server of the test: answers, refuses, or says nothing."""

    def __init__(self, *hosts: str) -> None:
        self.hosts = list(hosts)
        self.asked = 0
        self.is_silent = False

    async def __call__(self, name: str, port: int) -> list[HostPort]:
        self.asked += 1
        if self.is_silent:
            await asyncio.Event().wait()
        if not self.hosts:
            raise socket.gaierror(socket.EAI_NONAME, f"{name} is unknown")
        return [(host, port) for host in self.hosts]


def hosts(endpoints: list[Endpoint]) -> list[str]:
    return [endpoint.host for endpoint in endpoints]


async def test_name_stands_for_all_its_addresses() -> None:
    names = FakeNames("10.0.0.1", "10.0.0.2", "fd00::1")
    discovery = Discovery([NAME], 9002, look_up_name=names)

    assert await discovery.endpoints() == [
        Endpoint("10.0.0.1", 8002, 9002),
        Endpoint("10.0.0.2", 8002, 9002),
        Endpoint("fd00::1", 8002, 9002),
    ]


@pytest.mark.parametrize("name", ["content..test", f"{'c' * 64}.test"])
async def test_what_cannot_be_a_name_costs_no_other_address(name: str) -> None:
    discovery = Discovery([Address(name, 80), Address("127.0.0.1", 80)], 0)
    assert hosts(await discovery.endpoints()) == ["127.0.0.1"]
    assert "longer than 63" in discovery.faults[name]


async def test_each_round_follows_the_name() -> None:
    names = FakeNames("10.0.0.1")
    discovery = Discovery([NAME], 0, look_up_name=names)
    seen = []
    for there in (["10.0.0.1"], ["10.0.0.1", "10.0.0.2"], ["10.0.0.2"]):
        names.hosts = there
        seen.append(hosts(await discovery.endpoints()))

    assert seen == [["10.0.0.1"], ["10.0.0.1", "10.0.0.2"], ["10.0.0.2"]]


async def test_name_that_fails_keeps_its_last_addresses() -> None:
    names = FakeNames("10.0.0.1", "10.0.0.2")
    other = Address("127.0.0.1", 1)
    discovery = Discovery([NAME, other], 0, look_up_name=names)
    before = await discovery.endpoints()

    names.hosts = []
    assert await discovery.endpoints() == before
    assert discovery.faults == {"content": "content is unknown"}

    names.hosts = ["10.0.0.3"]
    assert hosts(await discovery.endpoints()) == ["10.0.0.3", "127.0.0.1"]
    assert discovery.faults == {}


async def test_name_that_never_resolved_has_no_replicas() -> None:
    discovery = Discovery([NAME], 0, look_up_name=FakeNames())

    assert await discovery.endpoints() == []


async def test_silent_name_server_holds_one_question_and_nobody_up() -> None:
    names = FakeNames("10.0.0.1")
    discovery = Discovery([NAME], 0, look_up_name=names, timeout=0.05)
    before = await discovery.endpoints()

    names.is_silent = True
    for _ in range(3):
        async with asyncio.timeout(1):
            assert await discovery.endpoints() == before

    assert names.asked == 2
    assert discovery.faults == {"content": "no response in 0.05 s"}
    await discovery.close()


async def test_literal_addresses_ask_nobody() -> None:
    names = FakeNames()
    literals = [Address("127.0.0.1", 1), Address("::1", 2, probe_port=3)]

    endpoints = await Discovery(literals, 9, look_up_name=names).endpoints()

    assert endpoints == [Endpoint("127.0.0.1", 1, 9), Endpoint("::1", 2, 3)]
    assert names.asked == 0


async def test_replica_is_probed_where_it_serves_unless_told_otherwise() -> None:
    endpoints = await Discovery([Address("127.0.0.1", 1)], 0).endpoints()

    assert endpoints == [Endpoint("127.0.0.1", 1, 1)]


async def test_service_names_hosts_and_ports() -> None:
    async def targets(name: str, _: int) -> list[HostPort]:
        assert name == "_http._tcp.content"
        return [("10.0.0.1", 8002), ("10.0.0.2", 8003)]

    address = Address("_http._tcp.content", 0, service=True)
    discovery = Discovery([address], 0, look_up_service=targets)

    assert await discovery.endpoints() == [
        Endpoint("10.0.0.1", 8002, 8002),
        Endpoint("10.0.0.2", 8003, 8003),
    ]


async def test_a_target_without_an_address_costs_no_other() -> None:
    there = ["one.test", "two.test"]

    async def targets(_: str, __: int) -> list[HostPort]:
        return [(target, 8002) for target in there]

    addresses = {"one.test": "10.0.0.1"}

    async def look_up(name: str, port: int) -> list[HostPort]:
        if name not in addresses:
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        return [(addresses[name], port)]

    service = Address("_http._tcp.content", 0, service=True)
    discovery = Discovery([service], 0, look_up_name=look_up, look_up_service=targets)
    assert hosts(await discovery.endpoints()) == ["10.0.0.1"]
    assert discovery.faults == {"two.test": "unknown"}

    addresses.pop("one.test")
    addresses["two.test"] = "10.0.0.2"
    assert hosts(await discovery.endpoints()) == ["10.0.0.1", "10.0.0.2"]
    assert discovery.faults == {"one.test": "unknown"}

    there.remove("one.test")
    assert hosts(await discovery.endpoints()) == ["10.0.0.2"]
    assert discovery.faults == {}


async def test_system_resolver_gives_addresses() -> None:
    assert ("127.0.0.1", 8002) in await addresses_of_name("localhost", 8002)
    with pytest.raises(OSError, match=r".+"):
        await addresses_of_name("no-such-name.invalid", 8002)


SRV = 33


def srv_answer(query: bytes) -> bytes:
    """Return what a name server says to the question in `query`."""
    question = query[12 : query.index(b"\0", 12) + 5]

    def record(priority: int, port: int, target: bytes) -> bytes:
        data = b"".join(n.to_bytes(2, "big") for n in (priority, 5, port)) + target
        ttl = (0).to_bytes(4, "big")
        return b"\xc0\x0c\0\x21\0\x01" + ttl + len(data).to_bytes(2, "big") + data

    local = b"\x09localhost\0"
    records = [record(1, 8002, local), record(1, 8003, local), record(2, 9, local)]
    head = query[:2] + b"\x81\x80\0\x01" + len(records).to_bytes(2, "big") + b"\0" * 4
    return head + question + b"".join(records)


class NameServer(asyncio.DatagramProtocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._transport.sendto(srv_answer(data), addr)


async def test_service_records_of_the_best_priority_are_used() -> None:
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        NameServer, local_addr=("127.0.0.1", 0)
    )
    resolver = Resolver(configure=False)
    resolver.nameservers = ["127.0.0.1"]
    resolver.port = transport.get_extra_info("sockname")[1]

    places = await targets_of_service("_http._tcp.content.test", 0, resolver)

    assert set(places) == {("localhost", 8002), ("localhost", 8003)}
    transport.close()
    await asyncio.sleep(0)  # it closes a turn later
