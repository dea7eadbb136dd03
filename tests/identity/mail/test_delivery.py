"""Letters on their way to a mail server, over real connections."""

import socket
import threading
import time
from datetime import UTC, datetime
from email.headerregistry import Address
from pathlib import Path
from typing import Final

import pytest
import uvloop
from tests.support.certificates import write_authority
from tests.support.mail_server import HOST, running_mail_server
from tests.support.ports import free_ports

from identity_service.domain.mail import (
    Letter,
    LetterDeferredError,
    LetterRefusedError,
    MailKind,
    MailServerUnavailableError,
)
from identity_service.mail.delivery import delivery_to
from identity_service.mail.messages import MessageWriter
from identity_service.mail.servers import mail_place
from identity_service.mail.templates import OWN
from service_kit.running.loop import Loop

TO: Final = "alice@example.test"
LETTER: Final = Letter(
    kind=MailKind.PASSWORD_CHANGED, to=TO, language="de", values={"username": "Zoë"}
)
MESSAGE: Final = MessageWriter(
    templates=OWN,
    sender=Address("Example", "no-reply", "example.test"),
    pages_url="https://example.test/console",
).write(LETTER, "ab" * 16, datetime.now(UTC))


async def deliver(url: str) -> None:
    async with delivery_to(mail_place(url)) as deliver:
        await deliver(MESSAGE, TO)


@pytest.mark.parametrize("scheme", ["smtps", "smtp", "smtp-plain"])
async def test_a_letter_arrives(tmp_path: Path, scheme: str) -> None:
    async with running_mail_server(tmp_path, scheme=scheme) as server:
        await deliver(server.url)

    (mail,) = server.received
    assert mail.to == TO
    assert "Zoë" in mail.text
    assert "Zoë" in mail.html
    assert mail.subject == "Ihr Passwort wurde geändert"
    assert mail.message["Message-ID"] == f"<{'ab' * 16}@example.test>"


def test_a_name_server_that_hangs_holds_up_no_letter_and_not_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    end = threading.Event()
    monkeypatch.setattr(socket, "getfqdn", lambda: str(end.wait()))

    async def main() -> None:
        async with running_mail_server(tmp_path, scheme="smtp-plain") as server:
            await deliver(server.url)
        assert len(server.received) == 1

    began_at = time.monotonic()
    try:
        uvloop.run(main(), loop_factory=Loop)
        assert time.monotonic() - began_at < 10
    finally:
        end.set()


@pytest.mark.parametrize("scheme", ["smtps", "smtp"])
async def test_a_server_with_a_foreign_certificate_gets_nothing(
    tmp_path: Path, scheme: str
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    authority, _, _ = write_authority(other, HOST)
    async with running_mail_server(tmp_path, scheme=scheme) as server:
        url = f"{server.url.partition('?')[0]}?ca={authority}"
        with pytest.raises(MailServerUnavailableError):
            await deliver(url)

    assert not server.received


async def test_nothing_is_said_in_clear_where_encryption_is_demanded(
    tmp_path: Path,
) -> None:
    async with running_mail_server(tmp_path, scheme="smtp-plain") as server:
        with pytest.raises(MailServerUnavailableError):
            await deliver(server.url.replace("smtp-plain", "smtp"))

    assert not server.received


async def test_a_wrong_password_is_no_letters_fault(tmp_path: Path) -> None:
    async with running_mail_server(tmp_path) as server:
        with pytest.raises(MailServerUnavailableError, match="535"):
            await deliver(server.url.replace("mail%20password", "another"))


async def test_a_server_that_is_away_is_no_letters_fault() -> None:
    (port,) = free_ports(1)
    with pytest.raises(MailServerUnavailableError):
        await deliver(f"smtp-plain://{HOST}:{port}")


@pytest.mark.parametrize(
    ("response", "error"),
    [
        ("550 No such user here", LetterRefusedError),
        ("451 Try again later", LetterDeferredError),
    ],
)
async def test_what_the_server_says_of_a_recipient_decides(
    tmp_path: Path, response: str, error: type[Exception]
) -> None:
    async with running_mail_server(tmp_path) as server:
        server.refusals[TO] = [response]
        with pytest.raises(error, match=response[:3]):
            await deliver(server.url)
        await deliver(server.url)

    assert [mail.to for mail in server.received] == [TO]


async def test_development_keeps_mail_in_files(tmp_path: Path) -> None:
    folder = tmp_path / "mail"
    await deliver(f"file://{folder}")

    (path,) = folder.iterdir()
    assert path.suffix == ".eml"
    assert path.read_bytes() == bytes(MESSAGE)


@pytest.mark.parametrize(
    "url",
    [
        "mail.example.test",
        "https://mail.example.test",
        "smtps://",
        "smtps://host/path",
        "smtps://host:notaport",
        "smtps://host?tls=off",
        "smtps://host?ca=",
        "smtps://host?ca=/a&ca=/b",
        "file://host/folder",
        "file:relative",
    ],
)
def test_what_names_no_mail_server_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"^(is|names|has) "):
        mail_place(url)


@pytest.mark.parametrize(
    ("url", "port"),
    [("smtps://a", 465), ("smtp://a", 587), ("smtp-plain://a", 25), ("smtp://a:2", 2)],
)
def test_each_scheme_has_its_port(url: str, port: int) -> None:
    place = mail_place(url)
    assert getattr(place, "port", None) == port
