import asyncio
import ssl
from pathlib import Path

from tests.support.certificates import write_authority

from service_kit.certificates import client_context


async def test_an_authority_that_is_named_is_trusted_as_it_is(tmp_path: Path) -> None:
    """Ours has no key usage, which Python asks for from 3.13 on."""
    authority, certificate, key = write_authority(tmp_path, "127.0.0.1")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    async with await asyncio.start_server(
        lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=context
    ) as server:
        port = server.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=client_context(authority)
        )
        assert await reader.read() == b""
        writer.close()


def test_the_systems_authorities_are_judged_as_python_judges_them() -> None:
    assert client_context().verify_flags == ssl.create_default_context().verify_flags
