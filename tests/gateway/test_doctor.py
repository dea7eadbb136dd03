import asyncio
import os
import socket
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.certificates import write_certificate
from tests.support.gateway_process import gateway_process
from tests.support.ports import free_ports
from tests.support.raw_upstream import raw_upstream
from tests.support.replica_server import not_ready, replica_servers

from gateway_service.operations.doctor import check, diagnose
from gateway_service.settings import GatewaySettings
from service_kit.observability.process import VERSION
from service_kit.running.doctor import report
from service_kit.running.sockets import bind
from service_kit.settings import SettingsError, read_settings

FILE = """
[upstreams.content]
addresses = ["http://127.0.0.1:1"]
[[routes]]
prefix = "/"
upstream = "content"
"""


def settings(path: Path, *, port: int = 0, internal_port: int = 1) -> GatewaySettings:
    return read_settings(
        GatewaySettings,
        {
            "GATEWAY_CONFIG": str(path),
            "GATEWAY_PORT": str(port),
            "GATEWAY_INTERNAL_PORT": str(internal_port),
        },
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "gateway.toml"
    path.write_text(FILE)
    return path


async def examined(
    capsys: pytest.CaptureFixture[str],
    configured: GatewaySettings,
    environ: Mapping[str, str],
) -> tuple[int, list[str]]:
    code = await report(diagnose(configured, environ))
    return code, capsys.readouterr().out.splitlines()


def test_check_passes_a_good_file(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    check(path, {})

    assert capsys.readouterr().out == f"{path}: 1 routes to 1 upstreams\n"


def test_check_writes_every_fault_on_a_line(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path.write_text("limits.body = -1\nlimits.head = 1\n" + FILE)

    with pytest.raises(SystemExit) as ended:
        check(path, {"GATEWAY_TRUSTED_PROXIES": "x"})

    assert ended.value.code == 2
    places = [line.split(" ")[:2] for line in capsys.readouterr().err.splitlines()]
    assert sorted(places) == [
        [f"{path}:1:", "limits.body"],
        [f"{path}:2:", "limits.head"],
        ["GATEWAY_TRUSTED_PROXIES:", "trusted_proxies"],
    ]


async def test_doctor_says_which_file_of_the_certificate_is_wrong_and_why(
    path: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    certificate, _ = write_certificate(tmp_path, "a.test")
    (tmp_path / "other").mkdir()
    _, other = write_certificate(tmp_path / "other", "a.test")
    absent = tmp_path / "absent.pem"
    for named, fault in (
        (other, f"certificate {certificate}: the key is not the certificate's"),
        (absent, f"private key {absent}: no such file or directory"),
        (
            path,
            (
                f"certificate {certificate}: certificate or key is not what it should"
                " be, in PEM"
            ),
        ),
    ):
        tls = f"tls = {{ certificate = '{certificate}', key = '{named}' }}\n"
        await asyncio.to_thread(path.write_text, tls + FILE)
        _, lines = await examined(capsys, settings(path), {})
        [line] = [each for each in lines if "certificate" in each]
        assert line.startswith(f"fault {fault} -> ")


async def test_doctor_finds_all_well(
    path: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    certificate, key = write_certificate(tmp_path, "a.test")
    tls = f"tls = {{ certificate = '{certificate}', key = '{key}' }}\n"
    await asyncio.to_thread(path.write_text, tls + FILE)
    async with replica_servers(2) as servers:
        addresses = ",".join(f"http://127.0.0.1:{server.port}" for server in servers)

        code, lines = await examined(
            capsys, settings(path), {"GATEWAY_UPSTREAM_CONTENT": addresses}
        )

    assert code == 0
    assert lines[:3] == [
        f"ok    {path}",
        "note  process on internal port 1: no gateway runs here",
        "ok    listen on 127.0.0.1:0",
    ]
    assert lines[3].startswith(("ok    descriptors: ", "note  descriptors: "))
    assert lines[4].startswith(f"note  certificate {certificate}: valid until 20")
    assert lines[5:] == [
        *(
            f"ok    content: replica 127.0.0.1:{s.port}: port {s.port} /readyz: ready"
            for s in servers
        ),
    ]


@pytest.mark.parametrize(("shares", "beginning"), [("on", "ok "), ("off", "fault ")])
async def test_doctor_knows_that_a_port_may_be_shared(
    path: Path, capsys: pytest.CaptureFixture[str], shares: str, beginning: str
) -> None:
    [other] = bind("127.0.0.1", 0, shared=True)
    with other:
        other.listen()
        configured = replace(
            settings(path, port=other.getsockname()[1]), share_port=shares == "on"
        )
        _, lines = await examined(capsys, configured, {})
    [line] = [line for line in lines if "listen on" in line]
    assert line.startswith(beginning)


async def test_doctor_names_variables_that_are_read_by_nobody(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    environ = {
        "GATEWAY_WORKER": "2",
        "GATEWAY_ALLOWED_ORIGINS": "https://a.test",
        "GATEWAY_UPSTREAM_CONTENT": "http://127.0.0.1:1",
        "GATEWAY_RATE_LIMIT_STORE_FILE": "",
    }
    _, lines = await examined(capsys, settings(path), environ)

    [found] = [line for line in lines if " setting " in line]
    assert found.startswith("note  setting GATEWAY_WORKER: there is none of this name")
    assert found.endswith("-> say GATEWAY_WORKERS, or remove it")


async def test_doctor_names_what_does_not_work(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    [closed] = free_ports(1)
    await asyncio.to_thread(
        path.write_text,
        "tls = { certificate = 'absent.pem', key = 'absent.pem' }\n" + FILE,
    )
    async with replica_servers(2) as servers:
        servers[0].answer = not_ready()
        servers[1].answer = b"SSH-2.0\r\n\r\n"
        ports = [server.port for server in servers]
        addresses = [f"http://127.0.0.1:{port}" for port in (*ports, closed)]
        with socket.create_server(("127.0.0.1", 0)) as taken:
            code, lines = await examined(
                capsys,
                settings(path, port=taken.getsockname()[1]),
                {
                    "GATEWAY_UPSTREAM_CONTENT": ",".join(
                        [*addresses, "http://no-such-name.invalid:1"]
                    ),
                    "GATEWAY_RATE_LIMIT_STORE": f"valkey://127.0.0.1:{closed}",
                },
            )

    assert code == 1
    bad = [line.removeprefix("fault ") for line in lines if line.startswith("fault ")]
    replica = "content: replica 127.0.0.1"
    assert bad[0] == (
        f"listen on 127.0.0.1:{taken_port(lines)}: address already in use"
        " -> end what has the port, or change GATEWAY_PORT"
    )
    assert bad[1] == (
        "certificate absent.pem: no such file or directory"
        " -> correct tls.certificate and tls.key"
    )
    assert bad[2].startswith("rate limits in valkey: Error 111 connecting to ")
    assert bad[2].endswith("its URL in rate_limit_store")
    assert bad[3].startswith("content: name no-such-name.invalid: ")
    assert [line.partition(" -> ")[0] for line in bad[4:]] == [
        f"{replica}:{ports[0]}: port {ports[0]} /readyz: not ready",
        f"{replica}:{ports[1]}: port {ports[1]} /readyz: silent",
        f"{replica}:{closed}: connection refused",
    ]
    assert all(" -> " in line for line in bad)


def taken_port(lines: list[str]) -> str:
    [line] = [line for line in lines if line.startswith("fault listen on")]
    return line.split(":")[1]


async def test_doctor_examines_the_gateway_that_runs_here(
    path: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    async with (
        replica_servers(1) as [server],
        raw_upstream() as upstream,
        gateway_process(tmp_path, upstream.port) as gateway,
    ):
        configured = settings(
            path, port=gateway.port, internal_port=gateway.internal_port
        )
        address = f"http://127.0.0.1:{server.port}"
        await asyncio.to_thread(os.utime, path, (2e9, 2e9))
        code, lines = await examined(
            capsys, configured, {"GATEWAY_UPSTREAM_CONTENT": address}
        )

    assert code == 0
    place = f"process on internal port {gateway.internal_port}"
    pid = gateway.process.pid
    assert lines[1].startswith(f"ok    {place}: gateway {VERSION}, pid {pid}, up ")
    assert lines[2].startswith(
        f"note  configuration of pid {pid}: the file has changed"
    )
    assert not [line for line in lines if "listen on" in line]


async def test_doctor_of_another_version_says_so_in_a_line(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status = b'{"service": "gateway", "version": "0.0.1", "pid": 7}'
    async with replica_servers(2) as [server, older]:
        older.answer = (
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\nConnection: close\r\n\r\n%b"
        ) % (len(status), status)
        code, lines = await examined(
            capsys,
            settings(path, internal_port=older.port),
            {"GATEWAY_UPSTREAM_CONTENT": f"http://127.0.0.1:{server.port}"},
        )

    place = f"process on internal port {older.port}"
    assert code == 0
    assert lines[1] == f"ok    {place}: gateway 0.0.1, pid 7, up 0 s"
    assert lines[2].startswith(f"note  {place}: its version is another")
    assert " -> " in lines[2]


async def test_doctor_names_a_stranger_on_the_internal_port(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with replica_servers(2) as [server, stranger]:
        code, lines = await examined(
            capsys,
            settings(path, internal_port=stranger.port),
            {"GATEWAY_UPSTREAM_CONTENT": f"http://127.0.0.1:{server.port}"},
        )

    assert code == 1
    assert lines[1].startswith(f"fault process on internal port {stranger.port}: ")


async def test_doctor_stops_at_a_configuration_it_cannot_use(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    await asyncio.to_thread(path.write_text, "routes = 1\n")

    code, lines = await examined(capsys, settings(path), {})

    assert code == 1
    assert len(lines) == 1
    assert lines[0].startswith(f"fault {path}:1: routes must be tables")


def test_settings_have_the_contracts_defaults() -> None:
    defaults = read_settings(GatewaySettings, {})

    assert (defaults.host, defaults.port) == ("127.0.0.1", 8080)
    assert defaults.internal_port == 9080
    assert defaults.config == Path("deploy/gateway.toml")
    assert defaults.drain_delay.total_seconds() == 2
    assert defaults.shutdown_grace.total_seconds() == 20


def test_every_fault_of_the_settings_is_named() -> None:
    with pytest.raises(SettingsError) as refused:
        read_settings(GatewaySettings, {"GATEWAY_PORT": "http", "GATEWAY_WORKERS": "0"})

    assert len(refused.value.faults) == 2
