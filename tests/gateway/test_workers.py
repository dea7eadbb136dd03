"""A bad file, a dead worker or a signal at a bad moment ends nothing that serves."""

import asyncio
import itertools
import os
import re
import signal
import socket
import ssl
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.certificates import write_certificate
from tests.support.gateway_process import GatewayProcess, gateway_process, write_config
from tests.support.ports import free_ports, until_ready
from tests.support.raw_client import ask, raw_client
from tests.support.raw_upstream import OK, Call, RawUpstream, raw_upstream

GET = b"GET /api/x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


def worker_pids(gateway: GatewayProcess) -> list[int]:
    started = re.findall(r'"worker_started".*?"pid": (\d+)', gateway.events())
    return [int(pid) for pid in started]


async def until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - another process's doing
            await asyncio.sleep(0.02)


async def replace_workers(gateway: GatewayProcess, workers: int = 2) -> None:
    """Kill every worker, one after the other, and wait for each successor."""
    for number in range(workers):
        before = len(worker_pids(gateway))
        os.kill(worker_pids(gateway)[number], signal.SIGKILL)
        await until(lambda known=before: len(worker_pids(gateway)) > known)  # type: ignore[misc]
        await asyncio.sleep(0.2)
        await until_ready(f"http://127.0.0.1:{gateway.internal_port + number}")


def break_syntax(gateway: GatewayProcess) -> None:
    gateway.config.write_text("routes = [")


def break_content(gateway: GatewayProcess) -> None:
    gateway.config.write_text("routes = 5")


def remove(gateway: GatewayProcess) -> None:
    gateway.config.unlink()


@pytest.mark.parametrize("harm", [break_syntax, break_content, remove])
@pytest.mark.parametrize("hup", [True, False])
async def test_a_successor_has_the_last_good_configuration(
    upstream: RawUpstream,
    tmp_path: Path,
    harm: Callable[[GatewayProcess], None],
    hup: bool,  # noqa: FBT001 - pytest's
) -> None:
    async with gateway_process(tmp_path, upstream.port, workers=2) as gateway:
        harm(gateway)
        if hup:
            gateway.process.send_signal(signal.SIGHUP)
            await until(lambda: gateway.events().count("configuration_refused") >= 3)
        await replace_workers(gateway)
        for _ in range(10):
            assert (await ask(gateway.port, GET)).status == 200
        assert gateway.process.returncode is None
    assert "Traceback" not in gateway.events()


async def test_a_successor_has_what_was_reloaded_and_not_what_came_later(
    upstream: RawUpstream, tmp_path: Path
) -> None:
    async with (
        raw_upstream() as second,
        raw_upstream() as third,
        gateway_process(tmp_path, upstream.port, workers=2) as gateway,
    ):
        write_config(gateway.config, second.port)
        gateway.process.send_signal(signal.SIGHUP)
        await until(lambda: gateway.events().count("configuration_reloaded") >= 2)
        write_config(gateway.config, third.port)
        await replace_workers(gateway)
        for _ in range(10):
            assert (await ask(gateway.port, GET)).status == 200
        assert (len(second.requests), len(third.requests)) == (10, 0)


async def test_a_successor_shows_the_certificate_that_the_files_no_longer_hold(
    upstream: RawUpstream, tmp_path: Path
) -> None:
    certificate, key = write_certificate(tmp_path, "first.test")
    tls = f'[tls]\ncertificate = "{certificate}"\nkey = "{key}"\n'
    trusting = ssl.create_default_context()
    trusting.check_hostname = False
    trusting.verify_mode = ssl.CERT_NONE

    async def status(port: int) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trusting)
        writer.write(GET)
        line = await reader.readline()
        writer.close()
        return line

    async with gateway_process(
        tmp_path, upstream.port, workers=2, more_config=tls
    ) as gateway:
        certificate.write_text("half of a")
        key.unlink()
        await replace_workers(gateway)
        for _ in range(6):
            assert await status(gateway.port) == b"HTTP/1.1 200 OK\r\n"


async def test_a_successor_needs_no_file_that_a_setting_names(
    upstream: RawUpstream, tmp_path: Path
) -> None:
    secret, authority = tmp_path / "store", tmp_path / "authority.pem"
    authority.touch()
    secret.write_text(f"valkeys://127.0.0.1:1?ssl_ca_certs={authority}")
    secret.chmod(0o600)
    async with gateway_process(
        tmp_path,
        upstream.port,
        workers=2,
        GATEWAY_RATE_LIMIT_STORE_FILE=str(secret),
    ) as gateway:
        secret.unlink()
        authority.unlink()
        gateway.process.send_signal(signal.SIGHUP)
        await until(lambda: gateway.events().count("configuration_refused") >= 3)
        await replace_workers(gateway)
        assert (await ask(gateway.port, GET)).status == 200


async def test_a_successor_serves_where_its_access_log_cannot_be_opened(
    upstream: RawUpstream, tmp_path: Path
) -> None:
    logs = tmp_path / "logs"
    logs.mkdir()
    async with gateway_process(
        tmp_path, upstream.port, workers=2, GATEWAY_ACCESS_LOG=str(logs / "access.log")
    ) as gateway:
        logs.rename(tmp_path / "moved")
        await replace_workers(gateway)
        assert (await ask(gateway.port, GET)).status == 200
        await until(lambda: "access_log_failing" in gateway.events())
        logs.mkdir()
        for _ in range(5):
            assert (await ask(gateway.port, GET)).status == 200
        await until((logs / "access.log").exists)


@pytest.mark.quiet
async def test_a_worker_that_dies_again_and_again_is_started_ever_more_slowly(
    upstream: RawUpstream, tmp_path: Path
) -> None:
    async with gateway_process(tmp_path, upstream.port, workers=2) as gateway:
        steady, victim = worker_pids(gateway)
        starts = []
        started_at = time.monotonic()
        while time.monotonic() - started_at < 4:
            os.kill(victim, signal.SIGKILL)
            await until(lambda old=victim: worker_pids(gateway)[-1] != old)  # type: ignore[misc]
            victim = worker_pids(gateway)[-1]
            starts.append(time.monotonic() - started_at)
            assert (await ask(gateway.port, GET)).status == 200
        os.kill(steady, 0)
    pauses = [after - before for before, after in itertools.pairwise(starts)]
    assert len(starts) < 8
    assert pauses[-1] > 2 * pauses[0]


@pytest.mark.parametrize("workers", [1, 2, 3])
async def test_a_signal_during_the_start_costs_no_connection(
    upstream: RawUpstream, tmp_path: Path, workers: int
) -> None:
    """Whoever could connect gets a response, and the gateway ends with 0."""
    async with gateway_process(
        tmp_path, upstream.port, workers=workers, is_awaited=False
    ) as gateway:
        await until(lambda: is_open(gateway.port))
        async with raw_client(gateway.port) as first, raw_client(gateway.port) as other:
            gateway.process.send_signal(signal.SIGTERM)
            for client in (first, other):
                await client.send(GET)
            for client in (first, other):
                assert (await client.answer()).status == 200
        assert await gateway.exit_code() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
async def test_a_signal_to_workers_that_start_is_acted_on_once_they_serve(
    upstream: RawUpstream, tmp_path: Path, number: signal.Signals
) -> None:
    async with gateway_process(
        tmp_path, upstream.port, workers=2, is_awaited=False
    ) as gateway:
        await until(lambda: len(worker_pids(gateway)) == 2)
        for pid in (gateway.process.pid, *worker_pids(gateway)):
            os.kill(pid, number)
        if number is signal.SIGHUP:
            await until(lambda: gateway.events().count("configuration_reloaded") >= 2)
            assert (await ask(gateway.port, GET)).status == 200
            gateway.process.terminate()
        assert await gateway.exit_code() == 0
    assert "worker_ended" not in gateway.events()


async def respond_late(call: Call) -> None:
    await call.head()
    await asyncio.sleep(1.0)
    await call.send(OK)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("first", ["workers", "parent"])
async def test_a_signal_to_every_process_at_once_cuts_no_request(
    upstream: RawUpstream, tmp_path: Path, number: signal.Signals, first: str
) -> None:
    """As from a terminal's Ctrl-C, and from systemd."""
    upstream.script = respond_late
    async with gateway_process(tmp_path, upstream.port, workers=2) as gateway:
        pids = [*worker_pids(gateway), gateway.process.pid]
        async with raw_client(gateway.port) as one, raw_client(gateway.port) as other:
            for client in (one, other):
                await client.send(GET)
            await until(lambda: len(upstream.calls) == 2)
            for pid in pids if first == "workers" else reversed(pids):
                os.kill(pid, number)
                await asyncio.sleep(0.1)
            for client in (one, other):
                assert (await client.answer()).status == 200
        assert await gateway.exit_code() == 0


@pytest.mark.quiet
async def test_a_second_signal_ends_all_workers_at_once(
    upstream: RawUpstream, tmp_path: Path
) -> None:
    async with gateway_process(
        tmp_path, upstream.port, workers=2, GATEWAY_DRAIN_DELAY="30"
    ) as gateway:
        for _ in range(2):
            gateway.process.send_signal(signal.SIGTERM)
            await asyncio.sleep(0.3)
        assert await gateway.exit_code(within=2) == 128 + signal.SIGTERM
    assert gateway.events().count("stopped_at_once") == 2


@pytest.mark.faults
async def test_a_worker_that_hangs_does_not_keep_the_gateway_from_its_end(
    upstream: RawUpstream, tmp_path: Path
) -> None:
    async with gateway_process(
        tmp_path,
        upstream.port,
        workers=2,
        GATEWAY_DRAIN_DELAY="0",
        GATEWAY_SHUTDOWN_GRACE="0",
    ) as gateway:
        os.kill(worker_pids(gateway)[0], signal.SIGSTOP)
        gateway.process.send_signal(signal.SIGTERM)
        assert await gateway.exit_code(within=15) == signal.SIGKILL


@pytest.mark.parametrize("workers", [1, 2])
async def test_one_port_for_both_sides_is_a_line_without_a_traceback(
    upstream: RawUpstream, tmp_path: Path, workers: int
) -> None:
    [port] = free_ports(1)
    async with gateway_process(
        tmp_path,
        upstream.port,
        workers=workers,
        is_awaited=False,
        GATEWAY_PORT=str(port),
        GATEWAY_INTERNAL_PORT=str(port),
    ) as gateway:
        line = f"cannot listen on 127.0.0.1:{port}: Address already in use\n"
        await until(lambda: line in gateway.events())
        if workers == 1:
            assert await gateway.exit_code() == 2
    assert "Traceback" not in gateway.events()


def is_open(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.parametrize("taken", ["public", "internal"])
@pytest.mark.parametrize("workers", [1, 2])
async def test_a_port_that_is_taken_is_one_line_and_exit_2(
    upstream: RawUpstream, tmp_path: Path, taken: str, workers: int
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        async with gateway_process(
            tmp_path,
            upstream.port,
            workers=workers,
            is_awaited=False,
            GATEWAY_PORT=str(port) if taken == "public" else "0",
            GATEWAY_INTERNAL_PORT=str(port) if taken == "internal" else "0",
        ) as gateway:
            assert await gateway.exit_code() == 2
    line = f"cannot listen on 127.0.0.1:{port}: Address already in use\n"
    assert gateway.events() == line


async def test_a_port_that_stands_twice_is_told_and_exit_2(tmp_path: Path) -> None:
    [port] = map(str, free_ports(1))
    async with gateway_process(
        tmp_path,
        1,
        workers=2,
        is_awaited=False,
        GATEWAY_PORT=port,
        GATEWAY_INTERNAL_PORT=port,
    ) as gateway:
        assert await gateway.exit_code(within=30) == 2
    assert f"cannot listen on 127.0.0.1:{port}: Address already" in gateway.events()


async def test_the_last_internal_port_may_be_too_high(tmp_path: Path) -> None:
    async with gateway_process(
        tmp_path, 1, workers=3, is_awaited=False, GATEWAY_INTERNAL_PORT="65534"
    ) as gateway:
        assert await gateway.exit_code() == 2
    assert gateway.events() == "cannot listen on 127.0.0.1:65536: Invalid argument\n"


async def test_an_access_log_that_cannot_be_opened_is_one_line_and_exit_2(
    tmp_path: Path,
) -> None:
    name = tmp_path / "nowhere" / "access.log"
    async with gateway_process(
        tmp_path, 1, is_awaited=False, GATEWAY_ACCESS_LOG=str(name)
    ) as gateway:
        assert await gateway.exit_code() == 2
    assert gateway.events() == f"{name}: cannot be opened: No such file or directory\n"


async def test_a_certificate_that_cannot_be_loaded_is_one_line_and_exit_2(
    tmp_path: Path,
) -> None:
    name = tmp_path / "nowhere.pem"
    tls = f'[tls]\ncertificate = "{name}"\nkey = "{name}"\n'
    for workers in (1, 2):
        async with gateway_process(
            tmp_path, 1, workers=workers, is_awaited=False, more_config=tls
        ) as gateway:
            assert await gateway.exit_code() == 2
        (line,) = gateway.events().splitlines()
        assert line.startswith(f"{name}: cannot be loaded: ")
