"""TLS to the database, against a server with a certificate of the test's own."""

import asyncio
import os
import re
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
import uvloop
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from sqlalchemy import URL, text
from sqlalchemy.exc import DBAPIError
from tests.support.certificates import write_authority
from tests.support.database import DatabaseServer, database_folder, running_server
from tests.support.operator import Operator

from identity_service.storage.database_url import DatabaseUrl
from identity_service.storage.engines import opened_engine
from identity_service.storage.faults import reason
from service_kit.running.loop import Loop


@dataclass
class TlsServer:
    """A server, and the certificate of the authority that it has its own from."""

    server: DatabaseServer
    authority: Path

    def url(self, database: str, host: str = "127.0.0.1", **options: str) -> str:
        named = {name.replace("_", "-"): value for name, value in options.items()}
        url = self.server.url.set(database=database, host=host, query=named)
        return url.render_as_string(hide_password=False)


@pytest.fixture(scope="module")
def tls() -> Iterator[TlsServer]:
    with database_folder() as folder:
        yield from _tls_server(folder)


def _tls_server(folder: Path) -> Iterator[TlsServer]:
    authority, certificate, key = write_authority(folder, "127.0.0.1")
    with running_server(
        folder,
        "--skip-log-bin",
        f"--ssl-ca={authority}",
        f"--ssl-cert={certificate}",
        f"--ssl-key={key}",
        "--require-secure-transport=ON",
    ) as server:
        yield TlsServer(server, authority)


async def cipher(url: str) -> str:
    """Return by which cipher a connection of identity's is encrypted."""
    async with (
        opened_engine(url, pool_size=1) as engine,
        engine.connect() as connection,
    ):
        found = await connection.execute(text("SHOW STATUS LIKE 'Ssl_cipher'"))
        return str(found.one()[1])


@pytest.mark.parametrize(
    "mode", ["REQUIRED", "VERIFY_CA", "VERIFY_IDENTITY", "verify_ca"]
)
@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_each_mode_encrypts(tls: TlsServer, mode: str, loop: str) -> None:
    url = tls.url("mysql", ssl_mode=mode, ssl_ca=str(tls.authority))
    factory = Loop if loop == "uvloop" else asyncio.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        assert runner.run(cipher(url))


def test_required_needs_no_authority(tls: TlsServer) -> None:
    assert asyncio.run(cipher(tls.url("mysql", ssl_mode="REQUIRED")))


OTHER: Final = "of another authority"


@pytest.mark.parametrize(
    ("host", "options", "words"),
    [
        pytest.param("127.0.0.1", {}, "wants TLS", id="plain"),
        pytest.param(
            "127.0.0.1",
            {"ssl_mode": "VERIFY_CA"},
            "not trusted",
            id="system's authorities",
        ),
        pytest.param(
            "127.0.0.1",
            {"ssl_mode": "VERIFY_CA", "ssl_ca": OTHER},
            "not trusted",
            id=OTHER,
        ),
        pytest.param(
            "127.0.0.1",
            {"ssl_mode": "REQUIRED", "ssl_ca": OTHER},
            "not trusted",
            id="mode",
        ),
        pytest.param(
            "localhost",
            {"ssl_mode": "VERIFY_IDENTITY", "ssl_ca": "ours"},
            "not trusted: Hostname mismatch",
            id="another host",
        ),
    ],
)
async def test_a_server_that_is_not_verified_is_one_line(
    tls: TlsServer, tmp_path: Path, host: str, options: dict[str, str], words: str
) -> None:
    files = {"ours": tls.authority, OTHER: write_authority(tmp_path)[0]}
    if "ssl_ca" in options:
        options = {**options, "ssl_ca": str(files[options["ssl_ca"]])}

    ended = await Operator(tls.url("mysql", host, **options)).run("migrate")

    assert ended.code == 2
    assert words in ended.err
    assert ended.err.count("\n") == 1


async def test_the_authority_alone_is_enough_for_verify_ca(tls: TlsServer) -> None:
    url = tls.url("mysql", "localhost", ssl_mode="VERIFY_CA", ssl_ca=str(tls.authority))

    assert await cipher(url)


async def test_no_connection_is_in_plain_text_where_tls_is_required(
    database_server: DatabaseServer,
) -> None:
    url = database_server.url.set(database="mysql", query={"ssl-mode": "REQUIRED"})

    try:
        found = await cipher(url.render_as_string(hide_password=False))
    except DBAPIError as error:
        found = reason(error)

    assert found


async def test_commands_use_it(tls: TlsServer) -> None:
    options = {"ssl_mode": "VERIFY_IDENTITY", "ssl_ca": str(tls.authority)}
    async with (
        opened_engine(tls.url("mysql", **options), pool_size=1) as engine,
        engine.connect() as connection,
    ):
        await connection.execute(text("CREATE DATABASE identity"))
    operator = Operator(tls.url("identity", **options))

    migrated = await operator.run("migrate")
    well = await operator.run("doctor")

    assert migrated.code == 0, migrated
    assert "ok    database: mysql, schema" in well.out


def test_a_server_that_hangs_does_not_hold_up_the_end(tls: TlsServer) -> None:
    async def main() -> float:
        url = tls.url("mysql", ssl_mode="VERIFY_CA", ssl_ca=str(tls.authority))
        async with (
            opened_engine(url, pool_size=2) as engine,
            engine.connect(),
            engine.connect(),
        ):
            tls.server.signal(signal.SIGSTOP)
            stopped_at = time.monotonic()
        return time.monotonic() - stopped_at

    try:
        assert uvloop.run(main(), loop_factory=Loop) < 15
    finally:
        tls.server.signal(signal.SIGCONT)


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("ssl=", "'ssl' without a value"),
        ("ssl", "'ssl' without a value"),
        ("ssl=true", "unknown option 'ssl'"),
        ("sslmode=require", "unknown option 'sslmode'"),
        ("ssl-mode=PREFERRED", "is none of DISABLED, REQUIRED"),
        ("ssl-mode=", "'ssl-mode' without a value"),
        ("ssl-mode=REQUIRED&ssl-mode=DISABLED", "ssl-mode twice"),
        ("ssl-ca=/nowhere", "without an ssl-mode"),
        ("ssl-mode=DISABLED&ssl-ca=/nowhere", "without an ssl-mode"),
        ("ssl-mode=VERIFY_CA&ssl-ca=/nowhere", "No such file"),
        ("ssl-mode=VERIFY_CA&ssl-ca=/tmp", "unusable ssl-ca"),
        ("ssl-mode=VERIFY_CA&ssl-ca=/dev/null", "unusable ssl-ca"),
        ("ssl-mode=REQUIRED&ssl-cert=/nowhere", "only one of"),
        ("ssl-mode=REQUIRED&ssl-cert=/nowhere&ssl-key=/nowhere", "unusable ssl-cert"),
    ],
)
def test_a_wrong_option_is_refused_in_words(query: str, words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)) as error:
        DatabaseUrl.parse(f"mysql+asyncmy://root:hunter2@127.0.0.1/identity?{query}")

    assert "hunter2" not in str(error.value)
    assert "\n" not in str(error.value)


NOWHERE: Final = "none is there"
FOLDER: Final = "a folder"
PIPE: Final = "a pipe that nobody writes to"
ENCRYPTED: Final = "with a password"
ANOTHERS: Final = "another's"
NO_PEM: Final = "no PEM"


def unusable_file(folder: Path, kind: str, good: Path) -> str:
    """Return the name of a file that is unusable in one way."""
    file = folder / "unusable"
    if kind == FOLDER:
        file.mkdir()
    elif kind == PIPE:
        os.mkfifo(file)
    elif kind == NO_PEM:
        file.write_bytes(b"0\x82\x01\n")
    elif kind == ANOTHERS:
        other = ec.generate_private_key(ec.SECP256R1())
        file.write_bytes(in_pem(other, NoEncryption()))
    elif kind == ENCRYPTED:
        key = load_pem_private_key(good.read_bytes(), None)
        file.write_bytes(in_pem(key, BestAvailableEncryption(b"hunter2")))
    return str(file)


def in_pem(key: PrivateKeyTypes, encryption: KeySerializationEncryption) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)


@pytest.mark.parametrize(
    ("option", "kind", "words"),
    [
        ("ssl-ca", NOWHERE, "ssl-ca: No such file or directory"),
        ("ssl-ca", FOLDER, "ssl-ca: it is not a regular file"),
        ("ssl-ca", PIPE, "ssl-ca: it is not a regular file"),
        ("ssl-ca", NO_PEM, "ssl-ca: it holds no certificate in PEM"),
        ("ssl-cert", NOWHERE, "ssl-cert: No such file or directory"),
        ("ssl-cert", NO_PEM, "ssl-cert or ssl-key: certificate or key is not"),
        ("ssl-key", NOWHERE, "ssl-key: No such file or directory"),
        ("ssl-key", FOLDER, "ssl-key: it is not a regular file"),
        ("ssl-key", PIPE, "ssl-key: it is not a regular file"),
        ("ssl-key", NO_PEM, "ssl-cert or ssl-key: certificate or key is not"),
        ("ssl-key", ANOTHERS, "ssl-cert or ssl-key: the key is not the cert"),
        ("ssl-key", ENCRYPTED, "ssl-cert or ssl-key: the key has a password"),
    ],
)
async def test_a_file_of_tls_that_is_unusable_is_named_with_its_fault(
    tmp_path: Path, option: str, kind: str, words: str
) -> None:
    authority, certificate, key = write_authority(tmp_path)
    files = {"ssl-ca": authority, "ssl-cert": certificate, "ssl-key": key}
    names = {name: str(path) for name, path in files.items()}
    names[option] = unusable_file(tmp_path, kind, files[option])
    url = URL.create(
        "mysql+asyncmy", "root", "hunter2", "127.0.0.1", 1, "identity"
    ).set(query={"ssl-mode": "REQUIRED", **names})

    ended = await Operator(url.render_as_string(hide_password=False)).run("serve")

    assert ended.code == 2
    assert words in ended.err
    assert "hunter2" not in ended.err
    assert ended.err.count("\n") == 1


async def test_a_wrong_option_is_one_line_at_start() -> None:
    url = "mysql+asyncmy://root:hunter2@127.0.0.1/identity?ssl=true"

    ended = await Operator(url).run("serve")

    assert ended.code == 2
    assert ended.err.startswith("setting IDENTITY_DATABASE_URL has the unknown option")
    assert ended.err.count("\n") == 1
