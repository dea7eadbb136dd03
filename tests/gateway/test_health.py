import asyncio

import pytest
from tests.support.ports import free_ports
from tests.support.replica_server import replica_servers
from tests.support.standstill import stand_still

from gateway_service.config.model import HealthConfig
from gateway_service.upstreams.endpoint import Endpoint
from gateway_service.upstreams.failures import ProbeResult
from gateway_service.upstreams.replica import ReplicaHealth as Health
from gateway_service.upstreams.watching.health_checks import HealthCheck, probe

CONFIG = HealthConfig(path="/readyz", timeout=1.0)
READY, NOT_READY = ProbeResult.READY, ProbeResult.NOT_READY
REFUSED, SILENT = ProbeResult.REFUSED, ProbeResult.SILENT
INCONCLUSIVE = ProbeResult.INCONCLUSIVE


@pytest.mark.parametrize(
    ("answer", "result"),
    [
        pytest.param(b"HTTP/1.1 200 OK\r\n\r\n", READY, id="200"),
        pytest.param(b"HTTP/1.1 204 \r\n\r\n", READY, id="204 without phrase"),
        pytest.param(b"HTTP/1.0 200 OK\r\n\r\n", READY, id="HTTP/1.0"),
        pytest.param(b"HTTP/1.1 503 No\r\n\r\n", NOT_READY, id="503"),
        pytest.param(b"HTTP/1.1 500 No\r\n\r\n", NOT_READY, id="500"),
        pytest.param(b"HTTP/1.1 404 No\r\n\r\n", NOT_READY, id="404"),
        pytest.param(b"HTTP/1.1 302 No\r\n\r\n", NOT_READY, id="a redirect"),
        pytest.param(b"SSH-2.0-OpenSSH\r\n\r\n", SILENT, id="another protocol"),
        pytest.param(b"HTTP/1.1 OK\r\n\r\n", SILENT, id="no status"),
        pytest.param(b"", SILENT, id="closes at once"),
        pytest.param(b"HTTP/1.1 200 " + b"x" * 5_000, SILENT, id="endless line"),
    ],
)
async def test_answer_decides_what_a_probe_finds(
    answer: bytes, result: ProbeResult
) -> None:
    async with replica_servers(1) as [server]:
        server.answer = answer

        found = await probe(Endpoint("127.0.0.1", 1, server.port), CONFIG)

    assert found.result is result


@pytest.mark.parametrize(
    ("status", "detail"),
    [(404, "got 404: set health.path"), (302, "got 302: set health.path")],
)
async def test_probe_of_a_wrong_path_names_the_setting(
    status: int, detail: str
) -> None:
    async with replica_servers(1) as [server]:
        server.answer = b"HTTP/1.1 %d x\r\n\r\n" % status
        endpoint = Endpoint("127.0.0.1", 8002, server.port)

        found = await probe(endpoint, CONFIG)

    assert found.detail == f"the probe of 127.0.0.1:8002 {detail}"


async def test_probe_asks_for_the_configured_path() -> None:
    async with replica_servers(1) as [server]:
        await probe(Endpoint("127.0.0.1", 8002, server.port), CONFIG)

    assert server.requests[0].startswith(
        b"GET /readyz HTTP/1.1\r\nHost: 127.0.0.1:8002"
    )


async def test_replica_that_says_nothing_is_silent() -> None:
    async with replica_servers(1) as [server]:
        server.is_silent = True
        hasty = HealthConfig(path="/readyz", timeout=0.1)

        found = await probe(Endpoint("127.0.0.1", 1, server.port), hasty)

    assert found.result is SILENT


async def test_a_gateway_that_stood_still_concludes_nothing() -> None:
    async with replica_servers(1) as [server]:
        hasty = HealthConfig(path="/readyz", timeout=0.1)
        probing = asyncio.create_task(
            probe(Endpoint("127.0.0.1", 1, server.port), hasty)
        )
        await asyncio.sleep(0)
        stand_still(0.7)

        found = await probing

    assert found.result is INCONCLUSIVE


async def test_closed_port_refuses() -> None:
    [port] = free_ports(1)

    found = await probe(Endpoint("127.0.0.1", 1, port), CONFIG)

    assert found.result is REFUSED


@pytest.mark.parametrize(
    ("results", "expected"),
    [
        pytest.param([READY], Health.READY, id="first success is enough"),
        pytest.param([READY, NOT_READY], Health.NOT_READY, id="503 at once"),
        pytest.param([READY, REFUSED], Health.UNREACHABLE, id="refused at once"),
        pytest.param([SILENT], Health.UNKNOWN, id="one silence says nothing"),
        pytest.param([SILENT] * 9, Health.UNKNOWN, id="nor does lasting silence"),
        pytest.param([REFUSED] * 9, Health.UNKNOWN, id="nor a port never open"),
        pytest.param([READY, SILENT], Health.READY, id="one silence is forgiven"),
        pytest.param([READY, *[SILENT] * 3], Health.SILENT, id="three are not"),
        pytest.param(
            [READY, *[SILENT] * 2, *[INCONCLUSIVE] * 9],
            Health.READY,
            id="inconclusive",
        ),
        pytest.param(
            [READY, *[SILENT, SILENT, READY] * 3],
            Health.READY,
            id="not in a row",
        ),
        pytest.param([READY, REFUSED, READY], Health.UNREACHABLE, id="one success"),
        pytest.param(
            [READY, REFUSED, READY, READY], Health.READY, id="two bring it back"
        ),
        pytest.param(
            [READY, NOT_READY, READY, SILENT, READY],
            Health.NOT_READY,
            id="successes not in a row",
        ),
    ],
)
def test_judgement_over_several_probes(
    results: list[ProbeResult], expected: Health
) -> None:
    judge = HealthCheck(HealthConfig(failures=3, successes=2))
    readiness = [judge.health_after(result) for result in results]

    assert readiness[-1] is expected


def test_it_is_said_once_that_no_probe_was_ever_answered() -> None:
    judge = HealthCheck(HealthConfig())
    said = 0
    for result in [*[SILENT] * 10, *[INCONCLUSIVE] * 3, *[REFUSED] * 20]:
        judge.health_after(result)
        said += judge.should_warn
    assert said == 1
