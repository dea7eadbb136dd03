"""Signals, drain, reload and workers, from real processes."""

import asyncio
import os
import re
import signal
import sys
from collections import Counter
from pathlib import Path

import pytest
from tests.support.gateway_process import GatewayProcess, gateway_process, write_config
from tests.support.raw_client import (
    IncompleteAnswerError,
    RawClient,
    ask,
    raw_client,
)
from tests.support.raw_upstream import OK, Call, RawUpstream, raw_upstream

GET = b"GET /api/x HTTP/1.1\r\nHost: a\r\n\r\n"


class Load:
    """Keep-alive clients that reconnect when they are told to."""

    def __init__(self, port: int, clients: int = 20) -> None:
        self.port = port
        self.outcomes: Counter[str] = Counter()
        self.is_over = False
        self.tasks = [asyncio.create_task(self._client()) for _ in range(clients)]

    async def _client(self) -> None:
        while not self.is_over:
            try:
                async with raw_client(self.port) as client:
                    await self._requests(client)
            except ConnectionRefusedError:
                return

    async def _requests(self, client: RawClient) -> None:
        while not self.is_over:
            await client.send(GET)
            try:
                answer = await client.answer()
            except (IncompleteAnswerError, ConnectionError):
                self.outcomes["reset"] += 1
                return
            self.outcomes[str(answer.status)] += 1
            if answer.value("Connection") == "close":
                return
            await asyncio.sleep(0.01)

    async def end(self) -> Counter[str]:
        self.is_over = True
        await asyncio.gather(*self.tasks)
        return self.outcomes


async def test_sigterm_costs_no_keep_alive_client_a_request(
    upstream: RawUpstream, tmp_path: Path
) -> None:
    async with gateway_process(tmp_path, upstream.port) as gateway:
        load = Load(gateway.port)
        await asyncio.sleep(0.3)
        gateway.process.send_signal(signal.SIGTERM)
        assert await gateway.exit_code() == 0
        outcomes = await load.end()
    assert set(outcomes) == {"200"}
    assert outcomes["200"] > 60
    assert "Traceback" not in gateway.events()


async def test_what_is_in_flight_at_the_end_is_finished(
    upstream: RawUpstream, tmp_path: Path
) -> None:
    async def script(call: Call) -> None:
        await call.request()
        await asyncio.sleep(1.5)
        await call.send(OK)

    upstream.script = script
    async with gateway_process(tmp_path, upstream.port) as gateway:
        async with raw_client(gateway.port) as client:
            await client.send(GET)
            await asyncio.sleep(0.2)
            gateway.process.send_signal(signal.SIGTERM)
            answer = await client.answer()
        assert (answer.status, answer.value("Connection")) == (200, "close")
        assert await gateway.exit_code() == 0


@pytest.mark.quiet
async def test_a_second_sigterm_ends_it_at_once(
    upstream: RawUpstream, tmp_path: Path
) -> None:
    async with gateway_process(
        tmp_path, upstream.port, GATEWAY_DRAIN_DELAY="30"
    ) as gateway:
        gateway.process.send_signal(signal.SIGTERM)
        await asyncio.sleep(0.3)
        gateway.process.send_signal(signal.SIGTERM)
        assert await gateway.exit_code(within=2) == 128 + signal.SIGTERM
    assert "Traceback" not in gateway.events()


async def test_sighup_puts_a_new_configuration_to_work(
    upstream: RawUpstream, tmp_path: Path
) -> None:
    async with (
        raw_upstream() as other,
        gateway_process(tmp_path, upstream.port) as gateway,
    ):
        load = Load(gateway.port, clients=5)
        write_config(gateway.config, other.port)
        gateway.process.send_signal(signal.SIGHUP)
        async with asyncio.timeout(5):
            while not other.requests:  # noqa: ASYNC110 - a test's patience
                await asyncio.sleep(0.02)
        gateway.config.write_text("routes = 5")
        gateway.process.send_signal(signal.SIGHUP)
        await asyncio.sleep(0.3)
        assert (await ask(gateway.port, GET)).status == 200
        assert set(await load.end()) == {"200"}
    assert "configuration_refused" in gateway.events()


async def test_bad_settings_are_told_and_exit_2(tmp_path: Path) -> None:
    config = tmp_path / "gateway.toml"
    config.write_text("routes = 5")
    for workers in ("1", "2"):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "gateway_service", "serve", "--workers", workers),
            env=os.environ | {"GATEWAY_CONFIG": str(config)},
            stderr=asyncio.subprocess.PIPE,
        )
        _, error = await process.communicate()
        assert process.returncode == 2
        assert b"gateway.toml" in error
        assert b"Traceback" not in error


def worker_pids(gateway: GatewayProcess) -> list[int]:
    started = re.findall(r'"worker_started".*?"pid": (\d+)', gateway.events())
    return [int(pid) for pid in started]


async def test_workers_share_the_port_and_drain_together(
    upstream: RawUpstream, tmp_path: Path
) -> None:
    async with gateway_process(tmp_path, upstream.port, workers=2) as gateway:
        load = Load(gateway.port)
        await asyncio.sleep(0.5)
        gateway.process.send_signal(signal.SIGTERM)
        assert await gateway.exit_code() == 0
        assert set(await load.end()) == {"200"}
    assert len(worker_pids(gateway)) == 2
    for pid in worker_pids(gateway):
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


async def test_a_rolling_restart_of_workers_costs_no_request(
    upstream: RawUpstream, tmp_path: Path
) -> None:
    async with gateway_process(tmp_path, upstream.port, workers=2) as gateway:
        load = Load(gateway.port)
        for number, pid in enumerate(worker_pids(gateway)):
            os.kill(pid, signal.SIGTERM)
            async with asyncio.timeout(10):
                while len(worker_pids(gateway)) < 3 + number:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
            await asyncio.sleep(1)
        assert set(await load.end()) == {"200"}


async def test_a_dead_worker_is_replaced(upstream: RawUpstream, tmp_path: Path) -> None:
    async with gateway_process(tmp_path, upstream.port, workers=2) as gateway:
        os.kill(worker_pids(gateway)[0], signal.SIGKILL)
        async with asyncio.timeout(5):
            while len(worker_pids(gateway)) < 3:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        assert (await ask(gateway.port, GET)).status == 200


async def test_workers_end_with_their_parent(
    upstream: RawUpstream, tmp_path: Path
) -> None:
    async with gateway_process(tmp_path, upstream.port, workers=2) as gateway:
        gateway.process.kill()
        await gateway.exit_code()
        pids = worker_pids(gateway)
        async with asyncio.timeout(8):
            while any(is_running(pid) for pid in pids):  # noqa: ASYNC110
                await asyncio.sleep(0.05)


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
