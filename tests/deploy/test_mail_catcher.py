"""The mail catcher for Compose: what it promises, and what it makes of mails."""

import asyncio
import os
import sys
from asyncio.subprocess import PIPE
from datetime import UTC, datetime
from email.headerregistry import Address
from pathlib import Path
from typing import Any, Final

import yaml
from tests.support.ports import free_ports

from identity_service.domain.mail import Letter, MailKind, MailServerUnavailableError
from identity_service.mail.delivery import delivery_to
from identity_service.mail.messages import MessageWriter
from identity_service.mail.servers import Encryption, MailServer, mail_place
from identity_service.mail.templates import OWN

ROOT: Final = Path(__file__).parents[2]
FILE: Final = ROOT / "deploy" / "mail" / "compose.yml"
SERVICES: Final[dict[str, Any]] = yaml.safe_load(FILE.read_text())["services"]

TO: Final = "zoë@example.test"
WRITER: Final = MessageWriter(
    templates=OWN,
    sender=Address("Example", "no-reply", "example.test"),
    pages_url="http://localhost:8080/console",
)


def test_the_catcher_is_confined_and_published_nowhere() -> None:
    catcher = SERVICES["mail"]
    assert catcher["read_only"] is True
    assert catcher["cap_drop"] == ["ALL"]
    assert catcher["security_opt"] == ["no-new-privileges:true"]
    assert catcher["networks"] == ["services"]
    assert "ports" not in catcher
    assert set(catcher["deploy"]["resources"]["limits"]) == {"cpus", "memory", "pids"}


def test_identity_sends_to_it() -> None:
    url = SERVICES["identity"]["environment"]["IDENTITY_MAIL_URL"]
    assert mail_place(url) == MailServer(
        host="mail", port=8025, encryption=Encryption.NONE
    )


async def deliver(url: str, letter: Letter) -> None:
    message = WRITER.write(letter, "ab" * 16, datetime.now(UTC))
    async with asyncio.timeout(20):
        while True:
            try:
                async with delivery_to(mail_place(url)) as deliver:
                    await deliver(message, letter.to)
            except MailServerUnavailableError:
                await asyncio.sleep(0.1)
            else:
                return


async def test_a_mail_is_printed_with_its_link_in_one_piece() -> None:
    (port,) = free_ports(1)
    token = "0123456789abcdef" * 4
    letter = Letter(
        kind=MailKind.PASSWORD_RESET,
        to=TO,
        language="de",
        values={"username": "Zoë \x1b[2J", "token": token, "minutes": "30"},
    )
    options = ("--nosetuid", "--smtputf8", "--class", "catcher.Catcher")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "aiosmtpd", *options, "--listen", f"127.0.0.1:{port}"),
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(FILE.parent)},
        stdout=PIPE,
    )
    assert process.stdout is not None
    try:
        await deliver(f"smtp-plain://127.0.0.1:{port}", letter)
        async with asyncio.timeout(10):
            printed = [await process.stdout.readline()]
            while printed[1:].count(printed[0]) == 0:
                printed.append(await process.stdout.readline())
    finally:
        process.kill()
        await process.wait()

    text = b"".join(printed).decode()
    assert f"To: {TO}\n" in text
    assert "Hallo Zoë [2J,\n" in text
    assert f"http://localhost:8080/console#/password-reset?token={token}\n" in text
