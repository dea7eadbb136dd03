"""The mails that a folder keeps: readable on a developer's machine, nowhere else."""

import asyncio
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest
from tests.support.identity import (
    IdentityClient,
    identity_settings,
    running_identity,
)

from identity_service.mail.mailbox import Mailbox
from identity_service.settings import Settings
from service_kit.settings import SettingsError

MAILBOX: Final = "/api/auth/mailbox"
METADATA: Final = "/.well-known/oauth-authorization-server"
URL: Final = "http://localhost:8080"


def settings_with(database_url: str, folder: Path, **more: str) -> Settings:
    return identity_settings(
        database_url,
        **{
            "IDENTITY_ISSUER": URL,
            "IDENTITY_MAIL_URL": f"file://{folder}",
            "IDENTITY_MAILBOX": "on",
            **more,
        },
    )


@pytest.fixture
def database_url(tmp_path: Path, sqlite_template: Path) -> str:
    """Where users are does not matter here."""
    shutil.copy(sqlite_template, tmp_path / "identity.sqlite")
    return f"sqlite+aiosqlite:///{tmp_path}/identity.sqlite"


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    return settings_with(database_url, tmp_path)


async def mails(identity: IdentityClient, query: str = "") -> Any:  # noqa: ANN401
    answer = await identity.send("GET", f"{MAILBOX}{query}")
    assert answer.status == 200, answer.text
    return answer.json


async def forget_password(identity: IdentityClient, name: str) -> None:
    assert (await identity.sign_up(name)).status == 200
    asked = {"email": f"{name}@example.test"}
    answer = await identity.send("POST", "/api/auth/password-reset", json=asked)
    assert answer.status == 202, answer.text


async def test_a_sent_mail_is_in_the_list_and_can_be_read(
    identity: IdentityClient,
) -> None:
    assert await mails(identity) == {"mails": [], "nextBefore": None}
    await forget_password(identity, "alice")
    async with asyncio.timeout(15):
        while True:
            if listed := (await mails(identity))["mails"]:
                break
            await asyncio.sleep(0.1)
    (mail,) = listed

    assert (mail["to"], mail["subject"]) == (
        "alice@example.test",
        "Choose a new password",
    )
    read = await identity.send("GET", f"{MAILBOX}/{mail['id']}")
    assert read.headers["Cache-Control"] == "no-store"
    assert f"{URL}/console#/password-reset?token=" in read.json["text"]
    metadata = (await identity.send("GET", METADATA)).json
    assert metadata["mailbox_endpoint"] == f"{URL}{MAILBOX}"


def write(folder: Path, number: int, content: bytes = b"") -> str:
    name = f"20260131T1200{number:02}-{number:032x}"
    (folder / f"{name}.eml").write_bytes(
        content or b"To: a@example.test\r\nSubject: %d\r\n\r\nText.\r\n" % number
    )
    return name


async def test_the_list_has_pages_with_the_newest_first(
    identity: IdentityClient, tmp_path: Path
) -> None:
    names = [write(tmp_path, number) for number in range(5)][::-1]
    (tmp_path / f"{names[0]}.new").write_text("half")
    (tmp_path / "notes.eml").write_text("To: nobody")
    found: list[str] = []
    query = "?limit=2"
    while True:
        page = await mails(identity, query)
        assert len(page["mails"]) <= 2
        found += [mail["id"] for mail in page["mails"]]
        if page["nextBefore"] is None:
            break
        query = f"?limit=2&before={page['nextBefore']}"
    assert found == names


NOWHERE: Final = (
    "..%2Fsecret",
    "20260131T120000-" + "0" * 32,
    "20260131T120000-..%2Fsecret",
    "%00",
)


async def test_no_name_leads_elsewhere(
    identity: IdentityClient, tmp_path: Path
) -> None:
    (tmp_path.parent / "secret.eml").write_text("Subject: secret\n\n")
    for name in NOWHERE:
        answer = await identity.send("GET", f"{MAILBOX}/{name}")
        assert (answer.status, answer.json["code"]) == (404, "not_found"), name


async def test_a_wrong_parameter_is_refused(identity: IdentityClient) -> None:
    for query in ("before=x", "limit=0", "limit=201", "folder=/"):
        assert (await identity.send("GET", f"{MAILBOX}?{query}")).status == 400, query


STRANGE: Final = {
    "nothing in it": b"\n",
    "no mail": bytes(range(256)) * 10,
    "another charset": b"Content-Type: text/plain; charset=x-none\n\n\xff",
    "an unfinished part": b"Content-Type: multipart/mixed; boundary=a\n\n--a\n",
    "wrong base64": b"Content-Transfer-Encoding: base64\n\n%%%",
    "wrong words": b"Subject: =?utf-8?b?%%%?=\nTo: <<>>,;@\n\nText",
    "bytes in a header": b"Subject: \xff\xfe\nTo: \xff@example.test\n\n\xff",
    "long": b"Subject: " + b"a" * 300_000,
}


@pytest.mark.parametrize("content", STRANGE.values(), ids=STRANGE)
async def test_a_strange_file_is_shown_as_far_as_it_goes(
    tmp_path: Path, content: bytes
) -> None:
    name = write(tmp_path, 1, content)
    (mail,) = await Mailbox(tmp_path).newest(10)
    assert mail.id == name
    assert len(mail.subject) <= 1000
    (mail.to + mail.subject + mail.text).encode()  # no half characters


async def test_a_file_that_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    readable = write(tmp_path, 1)
    name = write(tmp_path, 2)
    (tmp_path / f"{name}.eml").unlink()
    (tmp_path / f"{name}.eml").mkdir()
    assert [mail.id for mail in await Mailbox(tmp_path).newest(10)] == [readable]


async def test_without_a_folder_there_is_no_mail(tmp_path: Path) -> None:
    assert await Mailbox(tmp_path / "none").newest(10) == []


FOREIGN: Final = (
    {"Host": "attacker.example:8080"},
    {"X-Forwarded-Host": "attacker.example"},  # the Host that came to the gateway
    {"X-Forwarded-Host": "[half"},
)


async def test_a_page_under_another_name_reads_nothing(
    identity: IdentityClient, tmp_path: Path
) -> None:
    name = write(tmp_path, 1)
    for headers in FOREIGN:
        for path in (MAILBOX, f"{MAILBOX}/{name}"):
            answer = await identity.send("GET", path, headers=headers)
            assert answer.status == 404, headers


async def test_it_is_not_there_unless_it_is_asked_for(
    database_url: str, tmp_path: Path
) -> None:
    settings = settings_with(database_url, tmp_path, IDENTITY_MAILBOX="off")
    async with running_identity(settings) as identity:
        assert "mailbox_endpoint" not in (await identity.send("GET", METADATA)).json
        answer = await identity.send("GET", MAILBOX)
    assert (answer.status, answer.json["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    ("more", "named"),
    [
        ({"IDENTITY_ISSUER": "https://accounts.example.org"}, "IDENTITY_ISSUER"),
        ({"IDENTITY_ISSUER": "http://localhost.example.org"}, "IDENTITY_ISSUER"),
        ({"IDENTITY_MAIL_URL": "smtp-plain://127.0.0.1:1025"}, "IDENTITY_MAIL_URL"),
    ],
)
def test_no_service_that_others_use_starts_with_it(
    tmp_path: Path, more: Mapping[str, str], named: str
) -> None:
    with pytest.raises(SettingsError, match=f"IDENTITY_MAILBOX is on: {named}"):
        settings_with("sqlite+aiosqlite:///none.db", tmp_path, **more)
