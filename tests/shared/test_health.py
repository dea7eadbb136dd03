import asyncio
from collections.abc import Awaitable, Callable

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from prometheus_client import CollectorRegistry, Counter

from service_kit.health import Readiness
from service_kit.observability.process import VERSION
from service_kit.running.internal_app import create_internal_app
from service_kit.running.running_process import ask_process


async def all_well() -> str | None:
    return None


async def broken() -> str | None:
    return "no connection"


async def hangs() -> str | None:
    await asyncio.sleep(60)
    return None


def client_of(readiness: Readiness) -> TestClient[web.Request, web.Application]:
    registry = CollectorRegistry()
    Counter("things", "Things counted", registry=registry).inc()

    async def status() -> dict[str, object]:
        return {"replicas": 3}

    app = create_internal_app("example", readiness, registry, status)
    return TestClient(TestServer(app))


async def test_ready_while_every_check_is_well() -> None:
    readiness = Readiness()
    readiness.checks["keys"] = all_well
    async with client_of(readiness) as client:
        assert (await client.get("/readyz")).status == 200


@pytest.mark.parametrize(
    ("check", "fault"),
    [(broken, "no connection"), (hangs, "no response in time")],
    ids=["broken", "hangs"],
)
async def test_readiness_names_what_is_missing_while_liveness_stays(
    check: Callable[[], Awaitable[str | None]], fault: str
) -> None:
    readiness = Readiness()
    readiness.checks |= {"database": check, "keys": all_well}
    async with client_of(readiness) as client:
        answer = await client.get("/readyz")

        assert answer.status == 503
        assert (await answer.json())["faults"] == {"database": fault}
        assert (await client.get("/livez")).status == 200


async def test_a_draining_process_is_not_ready() -> None:
    readiness = Readiness()
    async with client_of(readiness) as client:
        readiness.draining = True
        answer = await client.get("/readyz")

        assert (await answer.json())["faults"] == {"process": "draining"}


async def test_metrics_and_status_are_shown() -> None:
    async with client_of(Readiness()) as client:
        metrics = await (await client.get("/metrics")).text()
        assert "things_total 1.0" in metrics
        assert "gatehouse_build_info{" in metrics
        assert f'service="example",version="{VERSION}"}} 1.0' in metrics
        assert "process_open_fds" in metrics
        status = await (await client.get("/status")).json()
        assert status["replicas"] == 3
        assert (status["service"], status["version"]) == ("example", VERSION)
        assert status["faults"] == status["warnings"] == {}


async def test_the_doctor_calls_a_process_ready_only_where_it_is() -> None:
    readiness = Readiness()
    readiness.warnings["writes"] = broken
    async with client_of(readiness) as client:
        ready = await ask_process("example", "127.0.0.1", client.server.port or 0)
        readiness.checks["database"] = broken
        other = await ask_process("example", "127.0.0.1", client.server.port or 0)

    assert list(map(str, ready.findings[1:])) == [
        "note  ready, but writes: no connection"
    ]
    assert list(map(str, other.findings[1:])) == [
        "fault not ready: database: no connection",
        "note  beside that writes: no connection",
    ]
