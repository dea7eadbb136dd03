"""Why a connection fails is said in words, whichever library it fails in."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from aiohttp import ClientSession, TCPConnector
from tests.support.certificates import write_certificate
from tests.support.ports import free_ports

from service_kit.connection_faults import connection_fault
from service_kit.tokens.fetching import FetchError, fetch


@asynccontextmanager
async def showing(context: ssl.SSLContext) -> AsyncIterator[str]:
    """Yield the address of a server that shows its certificate, and says nothing."""
    server = await asyncio.start_server(
        lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=context
    )
    async with server:
        yield f"localhost:{server.sockets[0].getsockname()[1]}"


async def why(url: str, trusted: ssl.SSLContext | None = None) -> str:
    async with ClientSession(connector=TCPConnector(ssl=trusted or True)) as session:
        with pytest.raises(FetchError) as caught:
            await fetch(session, url, max_bytes=1)
    return str(caught.value)


async def test_a_connection_that_cannot_be_made() -> None:
    [closed] = free_ports(1)
    assert await why(f"http://127.0.0.1:{closed}/") == "connection refused"
    no_name = "-x.invalid"  # known without a name server
    assert await why(f"http://{no_name}/") == "unknown host"


@pytest.mark.parametrize(
    ("name", "lasts", "fault"),
    [
        ("localhost", timedelta(seconds=-30), "certificate has expired"),
        ("other.test", timedelta(hours=1), "Hostname mismatch"),
    ],
)
async def test_what_is_wrong_with_a_certificate(
    tmp_path: Path, name: str, lasts: timedelta, fault: str
) -> None:
    certificate, key = write_certificate(tmp_path, name, lasts=lasts)
    own = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    own.load_cert_chain(certificate, key)
    async with showing(own) as address:
        trusted = ssl.create_default_context(cafile=certificate)
        found = await why(f"https://{address}/", trusted)

    assert found.startswith(f"TLS: its certificate is not trusted: {fault}")


def test_what_is_no_connections_fault_is_left_to_others() -> None:
    assert connection_fault(ConnectionResetError()) == "the connection was lost"
    assert connection_fault(ValueError("of a value")) is None


def test_a_name_server_that_is_away_makes_no_name_unknown() -> None:
    away = socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
    assert connection_fault(away) == "no name server responds"


def test_an_error_that_was_put_in_place_of_another_has_no_cause() -> None:
    error = ValueError("of a value")
    error.__context__ = ConnectionRefusedError()
    assert connection_fault(error) == "connection refused"
    error.__suppress_context__ = True  # as `from None` does
    assert connection_fault(error) is None
