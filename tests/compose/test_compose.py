"""The containers for real: built, started, walked, and stopped.

Needs a Docker engine with Compose v2. Everything runs under a project name, a port and
volumes of its own, and is removed at the end.
"""

import asyncio
import json
import re
import secrets
import subprocess
import time
import urllib.request
from collections.abc import Awaitable, Callable, Iterator
from typing import Final

import pytest
from tests.support.containers import ROOT, Containers, crash, docker, engine_answers
from tests.support.contract_walk import ROWS, Walk, walking
from tests.support.missing import skip_missing

REPLICAS: Final = 3
ADMIN: Final = "first-admin"
SERVICES: Final = ("gateway", "gateway-2", "identity", "content")

pytestmark = [pytest.mark.compose, pytest.mark.timeout(900)]


class WalkedContainers(Containers):
    """Containers, and who walks the contract on them."""

    def __init__(self) -> None:
        super().__init__(CONTENT_REPLICAS=str(REPLICAS))
        self.admin_password = secrets.token_urlsafe(18)
        self.used_secrets: set[str] = set()

    async def walk(self, row: Callable[[Walk], Awaitable[None]]) -> None:
        """Walk one row of the contract."""
        async with walking(self.base_url, ADMIN, self.admin_password) as walk:
            await row(walk)
        self.used_secrets |= walk.used_secrets


@pytest.fixture(scope="module")
def containers() -> Iterator[WalkedContainers]:
    if not engine_answers():
        skip_missing("no Docker engine with Compose v2 answers here")
    started = WalkedContainers()
    try:
        started.up("--build")
        started.compose(
            *("exec", "-T", "identity", "service", "create-admin"),
            *("--username", ADMIN, "--email", f"{ADMIN}@example.org"),
            "--password-stdin",
            stdin=started.admin_password,
        )
        yield started
    except AssertionError as error:
        logs = started.compose("logs", "--no-color", "--tail", "50")
        error.add_note(logs[-10_000:])
        raise
    finally:
        started.down()


@pytest.mark.parametrize("row", ROWS, ids=[row.__name__ for row in ROWS])
async def test_contract(
    containers: WalkedContainers, row: Callable[[Walk], Awaitable[None]]
) -> None:
    await containers.walk(row)


async def test_every_content_replica_answers(containers: WalkedContainers) -> None:
    async def ask(walk: Walk) -> None:
        for _ in range(20 * REPLICAS):
            answer = await walk.send("GET", "/api/test/all")
            assert answer.status == 200

    await containers.walk(ask)
    code = (
        "import urllib.request as u;"
        "print(u.urlopen('http://127.0.0.1:9002/metrics').read().decode())"
    )
    for index in range(1, REPLICAS + 1):
        lines = containers.python("content", code, index=index).splitlines()
        answered = [line for line in lines if "/api/test/all" in line]
        assert answered, lines
        assert float(answered[0].split()[-1]) > 0


def test_second_start_changes_nothing(containers: WalkedContainers) -> None:
    before = {state["ID"] for state in containers.states()}
    containers.up("--no-build")
    states = containers.states()
    services = {state["ID"] for state in states if state["State"] == "running"}
    assert services <= before


@pytest.mark.parametrize("service", SERVICES)
def test_process_is_confined(containers: WalkedContainers, service: str) -> None:
    code = """
import os, pathlib
status = dict(
    line.split(":", 1) for line in open("/proc/self/status") if ":" in line
)
assert os.getuid() == os.getgid() == 10001
assert int(status["CapEff"], 16) == int(status["CapBnd"], 16) == 0
assert status["NoNewPrivs"].strip() == "1"
try:
    pathlib.Path("/service/written").touch()
except OSError:
    print("confined")
"""
    assert containers.python(service, code).strip() == "confined"


def test_only_the_gateways_port_is_published(containers: WalkedContainers) -> None:
    published = {
        state["Service"]: state["Publishers"]
        for state in containers.states()
        if any(port["PublishedPort"] for port in state["Publishers"] or [])
    }
    assert set(published) == {"edge"}
    [port] = [port for port in published["edge"] if port["PublishedPort"]]
    assert port["URL"] == "127.0.0.1"


@pytest.mark.parametrize(
    ("service", "unreachable"),
    [("gateway", ("mysql", 3306)), ("content", ("valkey", 6379))],
)
def test_only_identity_reaches_the_databases(
    containers: WalkedContainers, service: str, unreachable: tuple[str, int]
) -> None:
    code = f"""
import socket
try:
    socket.create_connection({unreachable!r}, timeout=2)
except OSError:
    print("unreachable")
"""
    assert containers.python(service, code).strip() == "unreachable"
    assert containers.python("identity", code).strip() == ""


def test_the_services_account_may_not_change_the_schema(
    containers: WalkedContainers,
) -> None:
    code = """
import asyncio, pathlib
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine

async def main():
    url = pathlib.Path("/run/secrets/database-url").read_text()
    async with create_async_engine(url).connect() as connection:
        print((await connection.execute(text("SELECT VERSION()"))).scalar())
        for statement in ("CREATE TABLE x (y INT)", "DROP TABLE users"):
            try:
                await connection.execute(text(statement))
            except DBAPIError as error:
                print(error.orig.args[0])

asyncio.run(main())
"""
    version, *refusals = containers.python("identity", code).split()
    assert version.startswith("9.7")
    assert refusals == ["1142", "1142"]


@pytest.mark.parametrize(
    ("service", "foreign"),
    [
        ("gateway", ("cryptography", "pyjwt", "sqlalchemy", "pydantic", "pip")),
        ("content", ("sqlalchemy", "asyncmy", "pydantic", "bcrypt", "pip")),
        ("identity", ("ruff", "pytest", "uv", "pip")),
    ],
)
def test_image_holds_only_its_own_dependencies(
    containers: WalkedContainers, service: str, foreign: tuple[str, ...]
) -> None:
    code = f"""
import importlib, importlib.metadata as metadata, pathlib, sys
importlib.import_module("{service}_service.app")
own = pathlib.Path(sys.prefix, "lib").glob("python*/site-packages")
held = {{found.name.lower() for found in metadata.distributions(path=map(str, own))}}
assert len(held) > 10, held
print(sorted(held & set({foreign!r})))
"""
    assert containers.python(service, code).strip() == "[]"


async def test_a_killed_replica_costs_no_request(containers: WalkedContainers) -> None:
    replicas = containers.ids("content")

    async def ask(walk: Walk) -> None:
        token = (await walk.user())["accessToken"]
        for turn in range(60):
            if turn == REPLICAS:
                await asyncio.to_thread(docker, "kill", replicas[0])
            answer = await walk.send("GET", "/api/test/user", token=token)
            assert answer.status == 200, turn

    await containers.walk(ask)
    await asyncio.to_thread(containers.up, "--no-build")


async def test_gateways_are_renewed_without_a_refused_connection(
    containers: WalkedContainers,
) -> None:
    before = _ids(containers)

    async def ask(walk: Walk) -> None:
        renewing = asyncio.create_task(
            asyncio.to_thread(containers.run, "deploy/compose/renew", "gateway")
        )
        while not renewing.done():
            answer = await walk.send("GET", "/api/test/all")
            assert answer.status == 200
        await renewing

    await containers.walk(ask)
    renewed = {"gateway", "gateway-2"}
    after = _ids(containers)
    assert {name for name in after if after[name] != before[name]} == renewed


async def test_gateways_follow_an_edge_that_crashed(
    containers: WalkedContainers,
) -> None:
    crash(*containers.ids("edge"))
    crashed_at = time.monotonic()
    while not await asyncio.to_thread(_answers, containers.base_url):
        assert time.monotonic() - crashed_at < 30
        await asyncio.sleep(0.1)


def test_what_the_engine_leaves_down_is_started_as_it_was(
    containers: WalkedContainers,
) -> None:
    """As after a restart of the engine, which starts no gateway before edge."""
    before = _ids(containers)
    unit = (ROOT / "deploy" / "compose" / "gatehouse.service").read_text()
    (command,) = re.findall(r"^ExecStart=/usr/bin/(docker .*)$", unit, re.MULTILINE)
    docker("stop", *(before[name] for name in ("gateway", "gateway-2", "edge")))
    containers.run(*command.split())
    assert _answers(containers.base_url)
    assert _ids(containers) == before


def _ids(containers: WalkedContainers) -> dict[str, str]:
    """Return the containers, by service; of several one."""
    return {state["Service"]: state["ID"] for state in containers.states()}


def _answers(base_url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{base_url}/api/test/all", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def test_internal_ports_are_reached_from_the_network_telemetry(
    containers: WalkedContainers,
) -> None:
    code = """
import time, urllib.request as u
until = time.monotonic() + 60  # gateways may be following an edge that is new
for place in ("gateway:9080", "gateway:9081", "identity:9001", "content:9002"):
    while True:
        try:
            found = u.urlopen(f"http://{place}/metrics", timeout=5).read().decode()
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.5)
        else:
            break
    assert "# TYPE" in found
print("scraped")
"""
    network = ("--network", f"{containers.project}_telemetry")
    run = ("docker", "run", "--rm", *network, "python:3.14-slim-trixie")
    said = subprocess.run(
        [*run, "python3", "-c", code],
        check=True,
        capture_output=True,
        text=True,
    )
    assert said.stdout == "scraped\n"


def test_the_database_logs_to_its_container(containers: WalkedContainers) -> None:
    assert "ready for connections" in containers.compose("logs", "mysql")
    listed = containers.compose("exec", "-T", "mysql", "ls", "/var/lib/mysql")
    assert ".err" not in listed


def test_the_same_sources_give_the_same_layers() -> None:
    if not engine_answers():
        skip_missing("no Docker engine with Compose v2 answers here")
    arguments = {
        "PACKAGE": "services/content",
        "INTERNAL_PORT": "9002",
        "SOURCE_DATE_EPOCH": "1767225600",
    }
    options = [f"--build-arg={name}={value}" for name, value in arguments.items()]
    build = ("build", "--quiet", "--no-cache", "--file", "deploy/Dockerfile", *options)
    images = [docker(*build, str(ROOT)).strip() for _ in range(2)]
    layers = {
        docker("inspect", "--format", "{{json .RootFS.Layers}}", image)
        for image in images
    }
    dated = docker("inspect", "--format", "{{.Created}}", images[0])
    assert len(layers) == 1
    if dated.startswith("2026-01-01T"):  # BuildKit from 0.11 on dates the image, too
        assert len(set(images)) == 1


def test_no_log_holds_a_secret(containers: WalkedContainers) -> None:
    code = (
        "import json, pathlib;"
        "files = pathlib.Path('/run/secrets').iterdir();"
        "print(json.dumps([file.read_text() for file in files if file.stat().st_size]))"
    )
    used = {containers.admin_password, *containers.used_secrets}
    used |= set(json.loads(containers.python("identity", code)))
    assert len(used) > 20
    logs = containers.compose("logs", "--no-color")
    assert "replica_joined" in logs
    assert not [secret for secret in used if secret in logs]


def test_everything_stops_in_order(containers: WalkedContainers) -> None:
    containers.compose("stop", *SERVICES)
    ended = {
        (state["Service"], state["ExitCode"])
        for state in containers.states()
        if state["Service"] in SERVICES
    }
    assert ended == {(service, 0) for service in SERVICES}
