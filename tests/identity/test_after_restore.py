"""A backup is restored: nothing that was ended lives, and no name comes again."""

import asyncio
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jwt
import pytest
from sqlalchemy import make_url
from tests.support.identity import (
    IdentityClient,
    create_admin,
    give_signing_keys,
    identity_environment,
    identity_settings,
    running_identity,
    starting_identity,
    until_ready,
)
from tests.support.missing import skip_missing
from tests.support.tokens import claims_of

from identity_service.composition import Services
from identity_service.domain.mail import MailRequest, MailRequestKind

Restore = Callable[[], None]


def back_up(url: str, folder: Path) -> Restore:
    """Back a database up as an operator does, and return what restores it."""
    where = make_url(url)
    if where.get_backend_name() == "sqlite":
        path = Path(str(where.database))
        subprocess.run(
            [sys.executable, "-c", _BACK_UP, path, folder / "backup.sqlite"], check=True
        )

        def restore_file() -> None:
            for suffix in ("-wal", "-shm"):
                path.with_name(path.name + suffix).unlink(missing_ok=True)
            shutil.copy(folder / "backup.sqlite", path)

        return restore_file
    dump, client = _program("dump"), _program("")
    login = [
        "--no-defaults",
        f"--host={where.host}",
        f"--port={where.port}",
        f"--user={where.username}",
        f"--password={where.password}",
        "--protocol=tcp",
    ]
    database = str(where.database)
    made = subprocess.run(
        [dump, *login, "--single-transaction", database],
        check=True,
        capture_output=True,
    )

    def restore_dump() -> None:
        subprocess.run([client, *login, database], input=made.stdout, check=True)

    return restore_dump


_BACK_UP = (
    "import sqlite3, sys; "
    "sqlite3.connect(sys.argv[1]).backup(sqlite3.connect(sys.argv[2]))"
)


def _program(kind: str) -> str:
    found = shutil.which(f"mariadb-{kind}" if kind else "mariadb") or shutil.which(
        f"mysql{kind}"
    )
    if found is None:
        skip_missing("neither the client of MariaDB nor that of MySQL is installed")
    return found


def after_restore(url: str) -> str:
    """Run the command, and return what it says."""
    ended = subprocess.run(
        [sys.executable, "-m", "identity_service", "after-restore"],
        env=identity_environment(url),
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ended.returncode == 0, ended.stderr + ended.stdout
    return ended.stdout


@dataclass
class Names:
    """What must never be given to anybody else."""

    subjects: dict[str, int] = field(default_factory=dict)
    """Each with the id of its user."""
    lists: set[str] = field(default_factory=set)
    entries: set[tuple[str, int]] = field(default_factory=set)
    kids: set[str] = field(default_factory=set)
    sessions: set[str] = field(default_factory=set)

    def add(self, user: Any) -> None:  # noqa: ANN401 - parsed JSON
        token = user["accessToken"]
        claims = claims_of(token)
        entry = claims["status"]["status_list"]
        self.subjects[claims["sub"]] = user["id"]
        self.lists.add(entry["uri"])
        self.entries.add((entry["uri"], entry["idx"]))
        self.kids.add(jwt.get_unverified_header(token)["kid"])
        self.sessions.add(claims["sid"])


async def withdraw_key(url: str) -> None:
    async with Services(identity_settings(url)) as composed:
        await composed.tokens.key_rotation.withdraw()


@pytest.fixture
async def url(database_url: str) -> str:
    await give_signing_keys(identity_settings(database_url))
    await create_admin(database_url)
    return database_url


async def go_on_living(
    identity: IdentityClient,
    names: Names,
    alice: dict[str, Any],
    mod: dict[str, Any],
) -> list[Any]:
    """Sign up and out, change roles: none of it is in the backup."""
    admin = (await identity.sign_in("boss")).json
    names.add(admin)
    path = f"/api/users/{mod['id']}/roles"
    taken = await identity.call(
        "PUT", path, admin["accessToken"], json={"roles": ["user"]}
    )
    assert taken.status == 200, taken.text
    assert (await identity.sign_out(alice["refreshToken"])).status == 200
    lost = [await identity.signed_in(f"lost{n}") for n in range(3)]
    lost.append((await identity.sign_in("alice")).json)
    for user in lost:
        names.add(user)
    return [admin, *lost]


async def test_nothing_that_was_ended_lives_and_no_name_comes_back(
    url: str, tmp_path: Path
) -> None:
    names = Names()
    async with running_identity(identity_settings(url)) as identity:
        alice, mod = await identity.signed_in("alice"), await identity.signed_in("mod")
        admin = (await identity.sign_in("boss")).json
        roles = {"roles": ["user", "moderator"]}
        path = f"/api/users/{mod['id']}/roles"
        await identity.call("PUT", path, admin["accessToken"], json=roles)
        pair = (await identity.refresh(mod["refreshToken"])).json
        mod = {**mod, **pair}
        for user in (alice, mod, admin):
            names.add(user)
        restore = await asyncio.to_thread(back_up, url, tmp_path)
        lost = await go_on_living(identity, names, alice, mod)
        await withdraw_key(url)
        names.add((await identity.sign_in("boss")).json)

    await asyncio.to_thread(restore)
    said = await asyncio.to_thread(after_restore, url)
    again = await asyncio.to_thread(after_restore, url)

    assert "sessions ended: 3" in said, said
    assert "sessions ended: 0" in again
    first_id = int(said.splitlines()[0].rpartition(" ")[2])
    assert again.splitlines()[0] == said.splitlines()[0]
    async with starting_identity(identity_settings(url)) as (identity, readiness):
        await until_ready(readiness)
        for user in (alice, mod, admin, *lost):
            assert not await identity.is_accepted(user["accessToken"])
            assert (await identity.refresh(user["refreshToken"])).status == 403
        jwks = (await identity.send("GET", "/.well-known/jwks.json")).json["keys"]
        assert names.kids.isdisjoint(jwk["kid"] for jwk in jwks)
        fresh = Names()
        for n in range(3):
            user = await identity.signed_in(f"new{n}")
            assert user["id"] == first_id + n
            fresh.add(user)
        assert fresh.subjects.keys().isdisjoint(names.subjects)
        back = (await identity.sign_in("alice")).json
        fresh.add(back)
        same = {sub for sub, user_id in names.subjects.items() if user_id == back["id"]}
        assert fresh.subjects.keys() & names.subjects.keys() == same
        for old, new in (
            (names.lists, fresh.lists),
            (names.entries, fresh.entries),
            (names.kids, fresh.kids),
            (names.sessions, fresh.sessions),
        ):
            assert old.isdisjoint(new)
        boss = (await identity.sign_in("boss")).json["accessToken"]
        assert len(await identity.events(boss, action="database.restored")) == 2


async def test_nobody_is_deleted_by_a_date_of_the_past(url: str) -> None:
    brief = identity_settings(url, IDENTITY_DELETION_GRACE="1")
    async with running_identity(brief) as identity:
        alice = await identity.signed_in("alice")
        await identity.call("DELETE", "/api/users/me", alice["accessToken"])
    await asyncio.sleep(1.1)

    said = await asyncio.to_thread(after_restore, url)

    assert "accounts that are to be deleted, 14 days from now: 1" in said
    async with Services(brief) as composed:
        assert await composed.accounts.departures.prune() == 0
    async with running_identity(brief) as identity:
        assert (await identity.sign_in("alice")).status == 200


async def test_mail_is_forgotten_a_bounded_number_at_a_time(url: str) -> None:
    request = MailRequest(
        kind=MailRequestKind.PASSWORD_RESET,
        email_key="alice@example.test",
        language="en",
        address="192.0.2.1",
    )
    async with Services(identity_settings(url)) as composed:
        for _ in range(5):
            await composed.database.write(lambda unit: unit.outbox.add_request(request))
        removed = [
            await composed.database.write(lambda unit: unit.restoring.forget_mail(2))
            for _ in range(4)
        ]
    assert removed == [2, 2, 1, 0]
