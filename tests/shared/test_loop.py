"""The loop that the services run on, and names that it looks up."""

import asyncio
import logging
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import uvloop
from tests.support.certificates import write_certificate

from service_kit.running.loop import Loop

HANGS: Final = "hangs.test"
KNOWN: Final = "known.test"
ADDRESSES: Final = ("127.0.0.2", "127.0.0.1")
"""Of the name that is known; nobody listens at the first."""


class Names:
    """The look-ups of a machine whose name server responds for one name alone."""

    def __init__(self) -> None:
        self.addresses: tuple[str, ...] = ADDRESSES
        self.asked: list[str] = []
        self.end = threading.Event()

    def __call__(self, host: str, port: int, *_: object) -> list[tuple[Any, ...]]:
        self.asked.append(host)
        if host == HANGS:
            self.end.wait()
        kind = (socket.AF_INET, socket.SOCK_STREAM, 6, "")
        return [(*kind, (address, port)) for address in self.addresses]


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Iterator[Names]:
    names = Names()
    monkeypatch.setattr(socket, "getaddrinfo", names)
    yield names
    names.end.set()


async def serve(
    context: ssl.SSLContext | None = None, address: str = "127.0.0.1"
) -> asyncio.Server:
    return await asyncio.start_server(
        lambda _, writer: writer.close(), address, ssl=context
    )


async def connect(
    host: str, server: asyncio.Server, context: ssl.SSLContext | None = None
) -> None:
    port = server.sockets[0].getsockname()[1]
    _, writer = await asyncio.open_connection(host, port, ssl=context)
    writer.close()


def test_a_name_that_hangs_holds_up_no_other_name_and_not_the_end(
    names: Names, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async with await serve() as server:
            for _ in range(10):
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(connect(HANGS, server), 0.02)
            await connect(KNOWN, server)

    started = time.monotonic()
    with caplog.at_level(logging.ERROR):
        uvloop.run(main(), loop_factory=Loop)
    assert time.monotonic() - started < 10
    assert names.asked == [HANGS, KNOWN], "once at a time"
    assert not caplog.records


def test_a_look_up_that_fails_after_all_have_gone_says_nothing(
    names: Names, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        names.end.wait()
        raise socket.gaierror(socket.EAI_AGAIN, "try again")

    monkeypatch.setattr(socket, "getaddrinfo", fail)

    async def main() -> None:
        async with await serve() as server:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(connect(HANGS, server), 0.02)
            names.end.set()
            with pytest.raises(socket.gaierror):
                await connect(HANGS, server)

    with caplog.at_level(logging.ERROR):
        uvloop.run(main(), loop_factory=Loop)
    assert not caplog.records


@pytest.mark.usefixtures("names")
@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize("certified", [KNOWN, "other.test"])
def test_a_certificate_has_to_be_the_names(
    tmp_path: Path, certified: str, address: str
) -> None:
    certificate, key = write_certificate(tmp_path, certified)
    ours = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    ours.load_cert_chain(certificate, key)
    theirs = ssl.create_default_context(cafile=certificate)

    async def main() -> None:
        async with await serve(ours, address) as server:
            await connect(KNOWN, server, theirs)

    if certified == KNOWN:
        uvloop.run(main(), loop_factory=Loop)
    else:
        with pytest.raises(ssl.SSLCertVerificationError):
            uvloop.run(main(), loop_factory=Loop)


@pytest.mark.usefixtures("names")
def test_an_address_that_ends_the_handshake_is_the_one_whose_error_is_raised() -> None:
    async def main() -> None:
        async with await serve(address=ADDRESSES[0]) as server:
            await connect(KNOWN, server, ssl.create_default_context())

    with pytest.raises(ConnectionResetError):
        uvloop.run(main(), loop_factory=Loop)


@pytest.mark.parametrize(
    ("addresses", "error", "said"),
    [
        (ADDRESSES, ConnectionRefusedError, "^[^,]*$"),
        (("127.0.0.1", "255.255.255.255"), OSError, "refused.*, .*"),
        ((), OSError, "known.test has no address"),
    ],
    ids=["the same", "different", "no address"],
)
def test_the_errors_of_all_addresses_are_raised(
    names: Names, addresses: tuple[str, ...], error: type[OSError], said: str
) -> None:
    names.addresses = addresses
    with pytest.raises(error, match=said):
        uvloop.run(asyncio.open_connection(KNOWN, 1), loop_factory=Loop)


@pytest.mark.parametrize("host", ["no..name", f"{'x' * 64}.test"])
def test_what_can_be_no_name_is_an_unknown_host(host: str) -> None:
    with pytest.raises(socket.gaierror):
        uvloop.run(asyncio.open_connection(host, 1), loop_factory=Loop)
