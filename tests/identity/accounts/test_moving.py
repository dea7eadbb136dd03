"""Users move to another deployment as lines of JSON."""

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import pytest
from tests.support.database import migrate
from tests.support.identity import (
    KEYS,
    PASSWORD,
    MovableClock,
    create_admin,
    identity_settings,
    random_key,
    running_identity,
)
from tests.support.operator import Operator

from identity_service.composition import Services
from identity_service.domain.accounts.emails import EmailAddress
from identity_service.domain.accounts.roles import USER
from identity_service.domain.accounts.usernames import Username
from identity_service.domain.accounts.users import NewUser
from service_kit.clock import utc_now

BCRYPT: Final = "$2b$04$bjeJVpYhLZOgyXE8iDP2lO4aXl36o2fzAIJcnFyQT/gR1yzW5sJ7y"


@pytest.fixture
async def elsewhere(tmp_path: Path) -> str:
    """The database of another deployment."""
    url = f"sqlite+aiosqlite:///{tmp_path}/elsewhere.sqlite"
    await migrate(url)
    return url


async def test_who_was_exported_and_deleted_signs_in_elsewhere(
    database_url: str, elsewhere: str, tmp_path: Path
) -> None:
    await create_admin(database_url)
    async with running_identity(identity_settings(database_url)) as identity:
        alice = await identity.signed_in("alice")
        admin = (await identity.sign_in("boss")).json["accessToken"]
        lines = tmp_path / "users.jsonl"
        exported = await Operator(database_url).run("export-users", "--to", str(lines))
        assert exported.code == 0, exported.err
        path = f"/api/users/{alice['id']}"
        assert (await identity.call("DELETE", path, admin)).status == 200
    assert lines.stat().st_mode & 0o077 == 0

    peppers = f"{random_key()},{KEYS['IDENTITY_PASSWORD_PEPPERS']}"
    there = Operator(elsewhere, IDENTITY_PASSWORD_PEPPERS=peppers)
    imported = await there.run("import-users", "--lines", str(lines))
    again = await there.run("import-users", "--lines", str(lines))
    assert (imported.code, imported.out) == (0, "2 imported\n"), imported.err
    assert (again.code, again.out) == (0, "2 already here\n")

    settings = identity_settings(elsewhere, IDENTITY_PASSWORD_PEPPERS=peppers)
    async with running_identity(settings) as identity:
        signed_in = await identity.sign_in("alice", PASSWORD)
        assert signed_in.status == 200
        boss = (await identity.sign_in("boss", PASSWORD)).json
        assert "ROLE_ADMIN" in boss["roles"]
        recorded = await identity.events(
            boss["accessToken"], subject=boss["id"], action="account.created"
        )
        assert recorded[0]["details"] == {"roles": "admin user"}


async def test_a_wish_to_be_deleted_moves_along(
    database_url: str, elsewhere: str, tmp_path: Path
) -> None:
    async with running_identity(identity_settings(database_url)) as identity:
        token = (await identity.signed_in("alice"))["accessToken"]
        assert (await identity.call("DELETE", "/api/users/me", token)).status == 200
    lines = tmp_path / "users.jsonl"
    await Operator(database_url).run("export-users", "--to", str(lines))

    imported = await Operator(elsewhere).run("import-users", "--lines", str(lines))

    assert imported.out == "1 imported\n", imported.err
    pruned = []
    for days in (13, 15):
        clock = MovableClock(timedelta(days=days))
        settings = identity_settings(elsewhere)
        async with Services(settings, clock=clock) as services:
            pruned.append(await services.accounts.departures.prune())
    assert pruned == [0, 1]


async def test_whom_somebody_deleted_stays_deleted(database_url: str) -> None:
    zoe = {"username": "zoe", "email": "zoe@example.test", "passwordHash": BCRYPT}
    bob = {"username": "bob", "email": "bob@example.test", "passwordHash": BCRYPT}
    text = "".join(f"{json.dumps(line)}\n" for line in (zoe, bob))
    operator = Operator(database_url)
    first = await operator.run("import-users", "--lines", "-", stdin=text)
    assert first.out == "2 imported\n", first.err
    await create_admin(database_url)
    async with running_identity(identity_settings(database_url)) as identity:
        admin = (await identity.sign_in("boss")).json["accessToken"]
        found = (await identity.call("GET", "/api/users?search=zoe", admin)).json
        path = f"/api/users/{found['users'][0]['id']}"
        assert (await identity.call("DELETE", path, admin)).status == 200
        found = (await identity.call("GET", "/api/users?search=bob", admin)).json
        path = f"/api/users/{found['users'][0]['id']}"
        await identity.call("PATCH", path, admin, json={"username": "robert"})

    again = await operator.run("import-users", "--lines", "-", stdin=text)

    assert again.code == 0
    assert set(again.out.splitlines()) == {
        "1 deleted here since, not brought back",
        "1 already here",
    }


async def test_lines_that_describe_nobody_are_named_and_the_rest_goes_on(
    elsewhere: str,
) -> None:
    good = {"username": "zoe", "email": "zoe@example.test", "passwordHash": BCRYPT}
    lines = [
        good,
        good | {"username": "mallory"},
        good | {"username": "bob", "email": "no address"},
        good | {"username": "", "email": "bob@example.test"},
        good | {"username": "bob", "email": "bob@example.test", "passwordHash": "x"},
        good | {"username": "bob", "email": "bob@example.test", "roles": ["root"]},
        good | {"username": "bob", "email": "bob@example.test", "roles": "user"},
        good | {"username": "bob", "email": "bob@example.test", "roles": ["user"]},
        good | {"username": "zoe@example.test", "email": "eve@example.test"},
    ]
    text = "".join(f"{json.dumps(line)}\n" for line in lines) + "not JSON\n[]\n"
    ended = await Operator(elsewhere).run("import-users", "--lines", "-", stdin=text)

    assert ended.code == 1
    assert ended.out.splitlines()[:9] == [
        "left behind: line 2: e-mail address taken",
        "left behind: line 3: not an e-mail address",
        "left behind: line 4: not a user name",
        "left behind: line 5: not a password hash that is read here",
        "left behind: line 6: unknown role",
        "left behind: line 7: unknown role",
        "left behind: line 9: user name is another e-mail address",
        "left behind: line 10: not a JSON object",
        "left behind: line 11: not a JSON object",
    ]
    assert "2 imported" in ended.out
    assert "up to line 11" in ended.err
    resumed = await Operator(elsewhere).run(
        "import-users", "--lines", "-", "--after-line", "7", stdin=text
    )
    assert "1 already here" in resumed.out


async def test_whom_an_earlier_version_took_by_another_address_is_already_here(
    database_url: str,
) -> None:
    zoe = {"username": "zoe@example.org", "email": "zoe@example.test"}
    taken = NewUser(
        username=Username.parse(zoe["username"]),
        email=EmailAddress.parse(zoe["email"]),
        password_hash=BCRYPT,
        roles=frozenset({USER}),
        created_at=utc_now(),
    )
    async with Services(identity_settings(database_url)) as services:
        await services.database.write(lambda unit: unit.users.add(taken))
    line = json.dumps(zoe | {"passwordHash": BCRYPT})

    again = await Operator(database_url).run("import-users", "--lines", "-", stdin=line)

    assert (again.code, again.out) == (0, "1 already here\n"), again.err


async def test_nobody_is_brought_over_by_half(elsewhere: str) -> None:
    """Enabled though they were disabled, or with a password that opens nothing."""
    zoe = {"username": "zoe", "email": "zoe@example.test", "passwordHash": BCRYPT}
    bob = zoe | {"username": "bob", "email": "bob@example.test"}
    lines = [
        bob | {"disabled": "true"},
        bob | {"disabled": 1},
        bob | {"passwordIsTemporary": "yes"},
        bob | {"passwordHash": f"$hmac-sha384$00000000{BCRYPT}"},
        bob | {"note": "x" * 200_000},
        zoe | {"disabled": None, "passwordIsTemporary": False, "username": " zoe "},
    ]
    text = "".join(f"{json.dumps(line)}\n" for line in lines)
    text += json.dumps(bob)[:-1] + ', "disabled": true, "disabled": false}\n'

    ended = await Operator(elsewhere).run("import-users", "--lines", "-", stdin=text)

    flag = "disabled or passwordIsTemporary is neither true nor false"
    assert ended.out.splitlines()[:5] == [
        f"left behind: line 1: {flag}",
        f"left behind: line 2: {flag}",
        f"left behind: line 3: {flag}",
        "left behind: line 4: not a password hash that is read here",
        "left behind: line 5: not a JSON object",
    ]
    assert "left behind: line 7: not a JSON object" in ended.out
    assert "1 imported" in ended.out


async def test_bytes_that_are_no_text_spoil_their_line_alone(
    elsewhere: str, tmp_path: Path
) -> None:
    good = {"username": "zoe", "email": "zoe@example.test", "passwordHash": BCRYPT}
    lines = tmp_path / "lines"
    lines.write_bytes(b'{"username": "\xff"}\n' + json.dumps(good).encode() + b"\n")
    ended = await Operator(elsewhere).run("import-users", "--lines", str(lines))
    assert ended.code == 1
    assert "left behind: line 1: not a JSON object\n" in ended.out
    assert "1 imported" in ended.out


@pytest.mark.parametrize(
    "moment",
    [
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
        "1969-12-31T23:59:59Z",
        "2101-01-01T00:00:00Z",
    ],
)
async def test_a_moment_that_cannot_be_is_no_moment(
    database_url: str, moment: str
) -> None:
    line = json.dumps(
        {
            "username": "zoe",
            "email": "zoe@example.test",
            "passwordHash": BCRYPT,
            "createdAt": moment,
            "emailVerifiedAt": moment,
        }
    )
    operator = Operator(database_url)
    imported = await operator.run("import-users", "--lines", "-", stdin=f"{line}\n")
    exported = await operator.run("export-users")
    assert (imported.code, exported.code) == (0, 0), exported.err
    user = json.loads(exported.out)
    assert user["emailVerifiedAt"] is None
    assert datetime.fromisoformat(user["createdAt"]).year in range(2000, 2100)


async def test_a_file_that_cannot_be_used_is_named(
    elsewhere: str, tmp_path: Path
) -> None:
    operator, absent = Operator(elsewhere), tmp_path / "absent" / "file"
    for command in (("import-users", "--lines"), ("export-users", "--to")):
        ended = await operator.run(*command, str(absent))
        assert (ended.code, ended.err) == (2, f"{absent}: No such file or directory\n")


async def test_an_export_replaces_no_file_and_leaves_no_half(
    elsewhere: str, tmp_path: Path
) -> None:
    folder = tmp_path / "exports"
    folder.mkdir()
    target = folder / "users.jsonl"
    target.write_text("here already")
    refused = await Operator(elsewhere).run("export-users", "--to", str(target))
    assert (refused.code, refused.err) == (2, f"{target}: exists already\n")
    assert target.read_text() == "here already"

    absent = f"sqlite+aiosqlite:///{tmp_path}/absent.sqlite"
    failed = await Operator(absent).run("export-users", "--to", f"{folder}/other")
    assert failed.code == 2
    assert list(folder.iterdir()) == [target]
