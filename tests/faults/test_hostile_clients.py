"""Clients that are slow, many, too large, malformed or gone.

The short form has shorter timeouts, so that they are seen to end in a run of seconds.
"""

import gzip
import json
import random
import time
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice

import pytest
from tests.faults.figures import tell
from tests.support.cluster import Cluster, Gateway, Process, deployed_gateway, started
from tests.support.crowd import Crowd, all_statuses, exchange, large_answers
from tests.support.hostile_framings import hostile_framings
from tests.support.load import Plan, Report, running_load
from tests.support.requests import send

MEBIBYTE = 1_048_576
SIGN_IN = (
    b"POST /api/auth/signin HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
)
GET = b"GET /api/test/all HTTP/1.1\r\nHost: a\r\n\r\n"


@dataclass(frozen=True)
class Size:
    connections: int
    rounds: int
    timeouts: str
    """In the gateway's configuration."""
    head: float
    body: float
    send: float
    """The same as numbers: seconds."""


SHORT = Size(
    connections=200,
    rounds=1,
    timeouts="\n[client_timeouts]\nhead = 1.0\nbody = 1.5\nsend = 1.5\n",
    head=1.0,
    body=1.5,
    send=1.5,
)
LONG = Size(connections=1_000, rounds=4, timeouts="", head=10.0, body=20.0, send=20.0)
LONG_MARKS = [pytest.mark.faults, pytest.mark.timeout(300)]


@dataclass
class Edge:
    """A gateway that is attacked, and what it was like before."""

    gateway: Gateway
    size: Size
    descriptors: int
    resident: int

    @property
    def growth(self) -> int:
        """Bytes of memory that it has more than before."""
        return self.gateway.resident - self.resident

    def until_calm(self, seconds: float = 5) -> None:
        """Wait until nothing is in flight and what was opened is closed."""
        limit = time.monotonic() + seconds
        while True:
            held = self.gateway.descriptors
            in_flight = [
                replica["in_flight"]
                for upstream in ("identity", "content")
                for replica in self.gateway.replicas(upstream)
            ]
            # Kept connections to replicas, and those of probes, come and go.
            if not any(in_flight) and held <= self.descriptors + 30:
                return
            assert time.monotonic() < limit, (held, self.descriptors, in_flight)
            time.sleep(0.05)


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(SHORT, id="short"),
        pytest.param(LONG, id="long", marks=LONG_MARKS),
    ],
)
def gateway_and_size(
    running_cluster: Cluster, request: pytest.FixtureRequest
) -> Iterator[tuple[Gateway, Size]]:
    size: Size = request.param
    gateway = running_cluster.new_gateway(size.timeouts)
    with started(gateway):
        for _ in range(50):
            send(gateway.port, "GET", "/api/test/all")
        yield gateway, size


@pytest.fixture
def edge(gateway_and_size: tuple[Gateway, Size]) -> Iterator[Edge]:
    gateway, size = gateway_and_size
    edge = Edge(gateway, size, gateway.descriptors, gateway.resident)
    yield edge
    edge.until_calm()
    assert gateway.is_running


def assert_undisturbed(before: Report, during: Report) -> None:
    tell("before:", before, "during:", during)
    assert not during.failed, during
    # On a machine with two cores the floor is what the attack itself takes of them.
    assert during.percentile(0.99) < max(2 * before.percentile(0.99), 0.25), during


def test_slow_heads_end_in_time_and_disturb_nobody(edge: Edge, token: str) -> None:
    size = edge.size
    with running_load(Plan(ports=[edge.gateway.port], token=token)) as load:
        time.sleep(1)
        began_at = time.monotonic()
        for _ in range(size.rounds):
            with Crowd(edge.gateway.port) as crowd:
                crowd.join(size.connections)
                joined_at = time.monotonic()
                crowd.say(b"GET /api/test/all HTTP/1.1\r\nHost: a\r\nX: ")
                while len(crowd) and time.monotonic() < joined_at + size.head + 5:
                    crowd.listen(size.head / 4)
                    crowd.say(b"x")
                lasted = time.monotonic() - joined_at
                assert not len(crowd), f"{len(crowd)} still open after {lasted:.1f} s"
                assert set(crowd.statuses) == {408}
        report = load.report()

    assert_undisturbed(report.between(0, began_at), report.between(began_at, 1e18))


@pytest.mark.parametrize("drips", [False, True], ids=["stalled", "dripping"])
def test_slow_bodies_end_in_time_and_reach_nobody(edge: Edge, drips: bool) -> None:  # noqa: FBT001
    before = requests_seen(edge.gateway)
    with Crowd(edge.gateway.port) as crowd:
        crowd.join(edge.size.connections // 4)
        began_at = time.monotonic()
        crowd.say(SIGN_IN + b"Content-Length: 1000\r\n\r\n{")
        while len(crowd) and time.monotonic() < began_at + edge.size.body + 4:
            crowd.listen(0.5)
            if drips:
                crowd.say(b" ")
        lasted = time.monotonic() - began_at
        assert not len(crowd), f"{len(crowd)} still open after {lasted:.1f} s"
        assert set(crowd.statuses) == {408}
    assert requests_seen(edge.gateway) == before


def test_slow_readers_cost_little_memory_and_end_in_time(
    edge: Edge, running_cluster: Cluster
) -> None:
    connections = 20
    with large_answers(32 * MEBIBYTE) as port:
        address = f"http://127.0.0.1:{port}?probe={port}"
        gateway = deployed_gateway(
            running_cluster.folder,
            {"content": [address], "identity": [address]},
            edge.size.timeouts,
        )
        with started(gateway), Crowd(gateway.port, receive_buffer=4_096) as crowd:
            for _ in range(50):
                send(gateway.port, "GET", "/api/test/small")
            before, held_at = gateway.resident, time.monotonic()
            crowd.join(connections)
            crowd.say(GET.replace(b"/all", b"/large"))
            crowd.until_some_came()
            largest = 0
            while sum(each["in_flight"] for each in gateway.replicas("content")):
                largest = max(largest, gateway.resident - before)
                assert time.monotonic() - held_at < edge.size.send + 4
                time.sleep(0.05)
            lasted = time.monotonic() - held_at

    tell(f"{largest / connections / 1024:.0f} kB a connection, {lasted:.1f} s")
    assert largest < connections * 256_000
    assert lasted > edge.size.send / 2, "they were held for a while"


def test_many_connections_and_their_churn_leave_nothing(edge: Edge, token: str) -> None:
    port, size = edge.gateway.port, edge.size
    with running_load(Plan(ports=[port], token=token)) as load:
        time.sleep(0.5)
        with Crowd(port) as crowd:
            crowd.join(2 * size.connections)
            crowd.listen(0.5)
            refused = set(crowd.statuses)
            for _ in range(5 * size.rounds):
                with Crowd(port) as passers_by:
                    passers_by.join(100)
                time.sleep(0.2)
            growth = edge.growth
        edge.until_calm(10)
        report = load.report()

    tell(report, f"{growth / MEBIBYTE:.1f} MiB more", f"refused: {refused}")
    assert refused <= {503}
    assert growth < 100 * MEBIBYTE
    assert not report.failed, report


def endless_chunks() -> bytes:
    return b"Transfer-Encoding: chunked\r\n\r\n" + 40 * (
        b"2000\r\n%b\r\n" % bytes(8192)
    )


TOO_LARGE = {
    "200 fields": (
        431,
        b"GET /api/test/all HTTP/1.1\r\nHost: a\r\n" + 200 * b"X: y\r\n" + b"\r\n",
    ),
    "64 kB target": (
        414,
        b"GET /api/test/%b HTTP/1.1\r\nHost: a\r\n\r\n" % (65_536 * b"a"),
    ),
    "900 kB head": (
        431,
        GET[:-2] + 120 * (b"X: %b\r\n" % (7_500 * b"a")) + b"\r\n",
    ),
    "10 GB body": (413, SIGN_IN + b"Content-Length: 10000000000\r\n\r\n"),
    "endless chunks": (413, SIGN_IN + endless_chunks()),
    "1 MB chunk extension": (
        400,
        SIGN_IN + b"Transfer-Encoding: chunked\r\n\r\n5;" + MEBIBYTE * b"a",
    ),
}


@pytest.mark.parametrize(("status", "data"), TOO_LARGE.values(), ids=TOO_LARGE)
def test_what_is_too_large_is_refused_at_once(
    edge: Edge, status: int, data: bytes
) -> None:
    before = requests_seen(edge.gateway)
    began_at = time.monotonic()
    with Crowd(edge.gateway.port) as crowd:
        crowd.join(1)
        for start in range(0, len(data), 32_768):
            crowd.say(data[start : start + 32_768])
            crowd.listen(0.002)
        while not crowd.statuses and time.monotonic() < began_at + 3:
            crowd.listen(0.02)
    lasted = time.monotonic() - began_at

    assert crowd.statuses == [status]
    assert lasted < 1
    assert edge.growth < 20 * MEBIBYTE
    assert requests_seen(edge.gateway) == before


def test_a_thousand_pipelined_requests_are_all_answered(edge: Edge) -> None:
    with Crowd(edge.gateway.port) as crowd:
        crowd.join(1)
        began_at = time.monotonic()
        crowd.say(1_000 * GET)
        while len(crowd.statuses) < 1_000 and time.monotonic() < began_at + 30:
            crowd.listen(0.1)
        (received,) = crowd.received.values()
    assert crowd.statuses == 1_000 * [200]
    assert received.count(b"Public Content.") == 1_000
    assert edge.growth < 20 * MEBIBYTE


BOMBS = {
    "gzip": gzip.compress(bytes(64 * MEBIBYTE), 9, mtime=0),
    "deflate": zlib.compress(bytes(64 * MEBIBYTE), 9),
    "br": b"\xcf\xff\xff\x7f\xf8\x27\x00\xe2\xb1\x40\x20\xf0\xff",
    "zstd": b"\x28\xb5\x2f\xfd\xa4\x00\x00\x00\x04\x5b\x00\x00\x00\x01\x00\xff",
}


@pytest.mark.parametrize("coding", BOMBS)
def test_bombs_are_not_unpacked(
    edge: Edge, running_cluster: Cluster, coding: str
) -> None:
    identity = running_cluster.identity
    before = identity.resident
    body = BOMBS[coding]
    head = b"Content-Encoding: %b\r\nContent-Length: %d\r\n\r\n"
    data = SIGN_IN + head % (coding.encode(), len(body)) + body
    for _ in range(5):
        received = exchange(edge.gateway.port, data)
        assert int(received.split()[1]) in {400, 413, 415}, received
    assert identity.resident - before < 32 * MEBIBYTE
    assert edge.growth < 32 * MEBIBYTE


def test_a_flood_of_wrong_passwords_is_shed(
    edge: Edge, running_cluster: Cluster, token: str
) -> None:
    costly = Process(
        "identity",
        running_cluster.folder / "identity-costly.log",
        running_cluster.identity_settings | {"IDENTITY_BCRYPT_COST": "10"},
    )
    gateway = running_cluster.new_gateway(GATEWAY_UPSTREAM_IDENTITY=costly.address)
    tries = 200 * edge.size.rounds

    def guess(number: int) -> int:
        due_at = flooded_at + number / 100
        time.sleep(max(0.0, due_at - time.monotonic()))
        members = {"username": f"user-{number}", "password": "wrong password"}
        return send(
            gateway.port, "POST", "/api/auth/signin", members, timeout=30
        ).status

    with (
        started(costly, gateway),
        running_load(Plan(ports=[gateway.port], token=token)) as load,
        ThreadPoolExecutor(150) as threads,
    ):
        while not gateway.usable("identity"):
            time.sleep(0.05)
        time.sleep(1)
        flooded_at = time.monotonic()
        statuses = list(threads.map(guess, range(tries)))
        ended_at = time.monotonic()
        report = load.report()

    tell({status: statuses.count(status) for status in set(statuses)})
    assert set(statuses) <= {401, 429, 503}
    assert 401 in statuses, "some were checked"
    assert set(statuses) > {401}, "and others were shed"
    before = report.between(0, flooded_at)
    assert_undisturbed(before, report.between(flooded_at, ended_at))


def test_clients_that_vanish_leave_nothing(
    edge: Edge, running_cluster: Cluster
) -> None:
    chance = random.Random(8)  # noqa: S311 - a test is to repeat itself
    identity = running_cluster.identity
    held = identity.descriptors
    body = json.dumps({"username": "nobody", "password": "no password"}).encode()
    post = SIGN_IN + b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
    for _ in range(20 * edge.size.rounds):
        for request in (GET, post):
            with Crowd(edge.gateway.port) as crowd:
                crowd.join(10)
                crowd.say(request[: chance.randrange(1, len(request) + 1)])
                crowd.listen(chance.random() * 0.02)
                if chance.random() < 0.5:
                    crowd.reset()
    edge.until_calm(5)
    assert identity.descriptors <= held + 30
    assert send(edge.gateway.port, "GET", "/api/test/all").status == 200


def test_malformed_requests_are_refused_and_leave_nothing(edge: Edge) -> None:
    step = 12 // edge.size.rounds
    gateway = edge.gateway
    log_before = gateway.log.stat().st_size
    inputs = [
        data.replace(b"/api/x", b"/api/auth/signin")
        for _, data in islice(hostile_framings(), 0, None, step)
    ]
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda each: exchange(gateway.port, each), inputs))
    statuses = [status for answer in answers for status in all_statuses(answer)]
    time.sleep(1)  # the access log is written in batches
    with gateway.log.open() as log:
        log.seek(log_before)
        lines = log.readlines()

    tell(f"{len(inputs)} sent", {each: statuses.count(each) for each in set(statuses)})
    assert not [each for each in statuses if each >= 500 and each not in {501, 505}]
    assert edge.growth < edge.resident / 10
    # Behind most inputs stands a second request.
    assert len(lines) <= 2 * len(inputs)


def requests_seen(gateway: Gateway) -> int:
    """Return how many requests the gateway has sent on."""
    return sum(
        replica["requests"]
        for upstream in ("identity", "content")
        for replica in gateway.replicas(upstream)
    )
