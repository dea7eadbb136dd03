"""Files as programs on Windows write them: with a byte order mark, CRLF, in UTF-16."""

import json
from pathlib import Path

import pytest
from tests.support.identity import PASSWORD, identity_settings, running_identity
from tests.support.operator import Operator

from identity_service.domain.mail import MailKind
from identity_service.mail.templates import VALUES, MailTemplates

HASH = "$2b$04$abcdefghijklmnopqrstuu5s2v8yB5fQ4QlWQ0F0WcW3P0Q6pG5mG"
USERS = "".join(
    json.dumps(
        {"username": name, "email": f"{name}@example.test", "passwordHash": HASH}
    )
    + "\r\n"
    for name in ("zoe", "yan")
)
ADMIN = ("create-admin", "--username", "boss", "--email", "boss@example.test")


@pytest.fixture
async def operator(tmp_path: Path) -> Operator:
    operator = Operator(f"sqlite+aiosqlite:///{tmp_path}/identity.sqlite")
    assert (await operator.run("migrate")).code == 0
    return operator


@pytest.mark.parametrize("source", ["file", "pipe"])
async def test_users_are_imported(
    operator: Operator, tmp_path: Path, source: str
) -> None:
    file = tmp_path / "users.jsonl"
    file.write_bytes(USERS.encode("utf-8-sig"))
    name = str(file) if source == "file" else "-"

    ended = await operator.run(
        *("import-users", "--lines", name, "--after-line", "0"), stdin=f"\ufeff{USERS}"
    )

    assert (ended.code, ended.out) == (0, "2 imported\n")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be"])
async def test_users_in_utf_16_are_one_line(
    operator: Operator, tmp_path: Path, encoding: str
) -> None:
    file = tmp_path / "users.jsonl"
    file.write_bytes(f"\ufeff{USERS}".encode(encoding))

    ended = await operator.run("import-users", "--lines", str(file))

    assert (ended.code, ended.out) == (2, "")
    assert ended.err == f"{file}: is in UTF-16: save it as UTF-8\n"


@pytest.mark.parametrize("source", ["file", "pipe"])
async def test_a_password_is_read(
    operator: Operator, tmp_path: Path, source: str
) -> None:
    file = tmp_path / "password"
    file.write_bytes(f"{PASSWORD}\r\n".encode("utf-8-sig"))
    how = ["--password-file", str(file)] if source == "file" else ["--password-stdin"]

    ended = await operator.run(*ADMIN, *how, stdin=f"\ufeff{PASSWORD}\r\n")

    assert ended.code == 0, ended.err
    async with running_identity(identity_settings(operator.url)) as identity:
        assert (await identity.sign_in("boss")).status == 200


async def test_a_password_in_utf_16_is_one_line(
    operator: Operator, tmp_path: Path
) -> None:
    file = tmp_path / "password"
    file.write_text(PASSWORD, "utf-16")

    ended = await operator.run(*ADMIN, "--password-file", str(file))

    assert (ended.code, ended.err) == (2, "--password-file is not UTF-8\n")


async def test_a_plan_is_read(operator: Operator, tmp_path: Path) -> None:
    file = tmp_path / "identity.toml"
    file.write_bytes("[roles]\r\neditor = 'May edit'\r\n".encode("utf-8-sig"))

    ended = await operator.run("plan", str(file))

    assert (ended.code, ended.err) == (1, "")
    assert ended.out.startswith("+ role editor: May edit\n")


async def test_a_plan_in_utf_16_is_one_line(operator: Operator, tmp_path: Path) -> None:
    file = tmp_path / "identity.toml"
    file.write_text("[roles]\n", "utf-16")

    ended = await operator.run("plan", str(file))

    assert (ended.code, ended.err) == (2, f"{file}: is not UTF-8\n")


def test_a_template_is_read(tmp_path: Path) -> None:
    (tmp_path / "en").mkdir()
    template = "Subject: Welcome back\r\n\r\nHello\r\n\r\n$link\r\n"
    path = tmp_path / "en" / "password_reset.txt"
    path.write_bytes(template.encode("utf-8-sig"))
    values = dict.fromkeys(VALUES[MailKind.PASSWORD_RESET], "x")

    written = MailTemplates.read(tmp_path).write(MailKind.PASSWORD_RESET, "en", values)

    assert written.subject == "Welcome back"
