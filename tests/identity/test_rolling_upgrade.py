"""Replicas of two versions, and of two moments, serve one database without a 5xx."""

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import pytest
from aiohttp import ClientSession, DummyCookieJar
from tests.support.cluster import Process, check_logs, started
from tests.support.database import DatabaseServer, connected, empty_database
from tests.support.identity import (
    OTHER_PASSWORD,
    PASSWORD,
    Answer,
    IdentityClient,
    identity_environment,
)
from tests.support.versions import ROOT, python_path, sources_at

from identity_service.storage.upgrades import schema

BEFORE: Final = "7485cd0"
"""The last commit whose schema is 0001, and for which a role is a member of an enum."""

LIVES: Final = 4
"""Users at a time, for each way between the replicas."""


@pytest.fixture(scope="module")
def old_sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packages as they were at `BEFORE`."""
    return sources_at(BEFORE, tmp_path_factory.mktemp("before"))


class Version:
    """One version of identity, run as an operator runs it."""

    def __init__(self, folder: Path, url: str, sources: Path = ROOT) -> None:
        name = "new" if sources == ROOT else "old"
        environment = identity_environment(url, PYTHONPATH=python_path(sources))
        self.replica = Process("identity", folder / f"{name}.log", environment)

    def run(self, *arguments: str, stdin: str = "") -> str:
        """Run a command, which must succeed, and return what it says."""
        ended = subprocess.run(
            [sys.executable, "-m", "identity_service", *arguments],
            env=self.replica.environment,
            input=stdin,
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    def migrate(self) -> str:
        return self.run("migrate")

    def create_admin(self) -> None:
        email = "boss@example.test"
        arguments = ("--username", "boss", "--email", email, "--password-stdin")
        self.run("create-admin", *arguments, stdin=f"{PASSWORD}\n")


@pytest.fixture
async def url(database_server: DatabaseServer) -> AsyncIterator[str]:
    async with empty_database(database_server.url) as made:
        yield made


@contextlib.asynccontextmanager
async def clients(*replicas: Process) -> AsyncIterator[list[IdentityClient]]:
    async with ClientSession(cookie_jar=DummyCookieJar()) as session:
        yield [
            IdentityClient(f"http://127.0.0.1:{each.port}", session)
            for each in replicas
        ]


def well(answer: Answer) -> Any:  # noqa: ANN401 - parsed JSON
    """Return what an answer says, which must be a success."""
    assert answer.status == 200, answer.text
    return answer.json


async def live(
    name: str, one: IdentityClient, other: IdentityClient, admin: str
) -> None:
    """Do all that a user and an administrator do, from one replica to the other."""
    well(await one.sign_up(name))
    user = well(await other.sign_in(name))
    path = f"/api/users/{user['id']}"
    pair = user
    for replica in (one, other, one):
        pair = well(await replica.refresh(pair["refreshToken"]))
        for at in (one, other):
            well(await at.call("GET", "/api/users/me", pair["accessToken"]))
            well(await at.call("GET", "/api/users/me/sessions", pair["accessToken"]))
    for replica, role in ((one, "moderator"), (other, "user")):
        roles = {"roles": [role]}
        well(await replica.call("PUT", f"{path}/roles", admin, json=roles))
        pair = well(await replica.refresh(pair["refreshToken"]))
        for at in (one, other):
            me = well(await at.call("GET", "/api/users/me", pair["accessToken"]))
            assert me["roles"] == [f"ROLE_{role.upper()}"]
    for at in (one, other):
        for listed in ("/api/users", "/api/roles", "/api/audit", path):
            well(await at.call("GET", listed, admin))
        well(await at.send("GET", "/.well-known/jwks.json"))
        well(await at.call("PATCH", path, admin, json={"disabled": True}))
        assert (await at.sign_in(name)).status == 401
        well(await at.call("PATCH", path, admin, json={"disabled": False}))
    pair = well(await other.sign_in(name))
    body = {"currentPassword": PASSWORD, "newPassword": OTHER_PASSWORD}
    token = pair["accessToken"]
    well(await one.call("POST", "/api/users/me/password", token, json=body))
    well(await other.sign_in(name, OTHER_PASSWORD))
    well(await one.sign_out(pair["refreshToken"]))
    assert (await other.refresh(pair["refreshToken"])).status == 403
    well(await other.call("DELETE", path, admin))


async def test_two_versions_serve_one_schema_and_a_role_comes_after(
    url: str, old_sources: Path, tmp_path: Path
) -> None:
    old, new = Version(tmp_path, url, old_sources), Version(tmp_path, url)
    await asyncio.to_thread(old.migrate)
    await asyncio.to_thread(old.create_admin)

    with started(old.replica):
        migrated = await asyncio.to_thread(new.migrate)
        assert migrated.endswith("was 0001\n"), migrated
        with started(new.replica):
            async with clients(old.replica, new.replica) as replicas:
                await mixed_traffic(*replicas)
            assert old.replica.is_ready
            assert old.replica.stop() == 0
            async with clients(new.replica) as (replica,):
                await meet_a_new_role(replica, new)
            assert new.replica.stop() == 0
    check_logs(tmp_path, ())


async def mixed_traffic(old: IdentityClient, new: IdentityClient) -> None:
    tokens = [well(await at.sign_in("boss"))["accessToken"] for at in (old, new)]
    listed = [well(await at.call("GET", "/api/roles", tokens[0])) for at in (old, new)]
    assert ["details" in each for each in listed] == [False, True]
    async with asyncio.TaskGroup() as group:
        for n in range(LIVES):
            group.create_task(live(f"old{n}", old, new, tokens[0]))
            group.create_task(live(f"new{n}", new, old, tokens[1]))


async def meet_a_new_role(replica: IdentityClient, version: Version) -> None:
    """Have an operator add a role beside a replica that runs, and use it."""
    admin = well(await replica.sign_in("boss"))["accessToken"]
    alice = await replica.signed_in("alice")
    arguments = ("roles", "add", "editor", "--description", "Edits")
    await asyncio.to_thread(version.run, *arguments)
    path = f"/api/users/{alice['id']}/roles"

    well(await replica.call("PUT", path, admin, json={"roles": ["editor"]}))
    pair = well(await replica.refresh(alice["refreshToken"]))
    me = well(await replica.call("GET", "/api/users/me", pair["accessToken"]))
    listed = well(await replica.call("GET", "/api/roles", admin))
    page = well(await replica.call("GET", "/api/users", admin))

    assert well(await replica.sign_in("alice"))["roles"] == ["ROLE_EDITOR"]
    assert me["roles"] == ["ROLE_EDITOR"]
    assert listed["roles"][-1] == "ROLE_EDITOR"
    assert page["users"][-1]["roles"] == ["ROLE_EDITOR"]


async def test_a_replica_goes_on_with_a_later_schema(url: str, tmp_path: Path) -> None:
    version = Version(tmp_path, url)
    await asyncio.to_thread(version.migrate)
    await asyncio.to_thread(version.create_admin)
    with started(version.replica):
        await pretend_migration(url, "9999")
        assert version.replica.is_ready
        assert await asyncio.to_thread(version.migrate) == "schema 9999: as it was\n"
        async with clients(version.replica) as (replica,):
            admin = well(await replica.sign_in("boss"))["accessToken"]
            await live("alice", replica, replica, admin)


async def pretend_migration(url: str, later: str) -> None:
    async with connected(url) as engine, engine.begin() as connection:
        statement = f"UPDATE {schema.VERSION_TABLE} SET version_num = '{later}'"  # noqa: S608 - the test's own names
        await connection.exec_driver_sql(statement)
