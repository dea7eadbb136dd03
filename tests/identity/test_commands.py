"""The commands, as an operator runs them: each a process of its own."""

import asyncio
from pathlib import Path

import pytest
from tests.support.identity import PASSWORD, identity_settings, running_identity
from tests.support.operator import Operator

from identity_service.storage.upgrades import schema


@pytest.fixture
def operator(tmp_path: Path) -> Operator:
    return Operator(f"sqlite+aiosqlite:///{tmp_path}/identity.sqlite")


NEWEST = schema.NEEDED

ADMIN = ("create-admin", "--username", "boss", "--email", "boss@example.test")


async def test_a_deployment_from_nothing_to_its_first_administrator(
    operator: Operator,
) -> None:
    sick = await operator.run("doctor")
    migrated = await operator.run("migrate")
    created = await operator.run(*ADMIN)
    again = await operator.run(*ADMIN)
    well = await operator.run("doctor")

    assert sick.code == 1
    assert f"fault database: schema none, not {NEWEST}: run migrate" in sick.out
    assert (migrated.code, migrated.out) == (0, f"schema {NEWEST}: was none\n")
    assert created.code == 0
    assert (again.code, again.out) == (0, "boss is an administrator already\n")
    assert (well.code, "fault" in well.out) == (0, False)
    password = created.out.rpartition(": ")[2].strip()
    async with running_identity(identity_settings(operator.url)) as identity:
        signed_in = await identity.sign_in("boss", password)
        assert signed_in.json["passwordChangeRequired"] is True


async def test_schema_says_what_is_there_needed_and_pending(operator: Operator) -> None:
    empty = await operator.run("schema")
    await operator.run("migrate")
    migrated = await operator.run("schema")

    pending = empty.out.splitlines()[2].removeprefix("pending: ").split(", ")
    assert empty.out.splitlines()[:2] == ["present: none", f"needed: {NEWEST}"]
    assert [each[:4] for each in pending] == [*schema.VERSIONS]
    assert empty.code == 1
    assert migrated.out == f"present: {NEWEST}\nneeded: {NEWEST}\npending: nothing\n"
    assert migrated.code == 0


@pytest.mark.parametrize(
    ("present", "count"), [(schema.VERSIONS[-3], 2), (NEWEST, 0), ("9999", 0)]
)
def test_what_is_pending_is_what_came_since(present: str, count: int) -> None:
    later = schema.VERSIONS[len(schema.VERSIONS) - count :]

    assert [each[:4] for each in schema.pending(present)] == [*later]


async def test_check_names_the_faults_of_the_settings_and_opens_nothing(
    tmp_path: Path,
) -> None:
    file = tmp_path / "identity.sqlite"
    operator = Operator(f"sqlite+aiosqlite:///{file}")
    good = await operator.run("check")
    doubtful = await operator.run("check", IDENTITY_THROTTLE="off")
    bad = await operator.run("check", IDENTITY_BCRYPT_COST="x", IDENTITY_ISSUER="")

    assert (good.code, good.out) == (0, "settings: usable\n")
    assert not good.err
    assert (doubtful.code, doubtful.out) == (good.code, good.out)
    assert doubtful.err.startswith("warning: IDENTITY_THROTTLE is off: ")
    assert bad.code == 2
    assert [each.split()[1] for each in bad.err.splitlines()] == [
        "IDENTITY_ISSUER",
        "IDENTITY_BCRYPT_COST",
    ]
    assert not await asyncio.to_thread(file.exists)


async def test_p13_an_administrator_is_created_while_it_serves(
    operator: Operator, tmp_path: Path
) -> None:
    await operator.run("migrate")
    file = tmp_path / "password"
    file.write_text(f"{PASSWORD}\n")
    async with running_identity(identity_settings(operator.url)) as identity:
        await operator.run(*ADMIN, "--password-file", str(file))
        signed_in = await identity.sign_in("boss")

    assert signed_in.json["roles"] == ["ROLE_USER", "ROLE_ADMIN"]
    assert "passwordChangeRequired" not in signed_in.json


@pytest.mark.parametrize(
    ("password", "said"), [(PASSWORD, "this"), ("another password", "another")]
)
async def test_who_is_an_administrator_already_stays_as_they_are(
    operator: Operator, password: str, said: str
) -> None:
    await operator.run("migrate")
    await operator.run(*ADMIN, "--password-stdin", stdin=f"{PASSWORD}\n")

    again = await operator.run(*ADMIN, "--password-stdin", stdin=f"{password}\n")

    assert again.code == 0
    assert again.out == f"boss is an administrator already, with {said} password\n"
    async with running_identity(identity_settings(operator.url)) as identity:
        await identity.sign_in("boss")


async def test_p13_nobody_becomes_administrator_by_having_the_name(
    operator: Operator,
) -> None:
    await operator.run("migrate")
    async with running_identity(identity_settings(operator.url)) as identity:
        await identity.sign_up("boss")
        refused = await operator.run(*ADMIN)
        signed_in = await identity.sign_in("boss")

    assert refused.code == 1
    assert "has this name, or one that looks like it" in refused.err
    assert signed_in.json["roles"] == ["ROLE_USER"]


async def test_a_weak_password_is_refused_in_words(operator: Operator) -> None:
    await operator.run("migrate")

    ended = await operator.run(*ADMIN, "--password-stdin", stdin="short\n")

    assert ended.code == 1
    assert "at least 8 characters" in ended.err
    assert "Traceback" not in ended.err


async def test_the_audit_log_is_verified_and_a_signing_key_is_made(
    operator: Operator,
) -> None:
    await operator.run("migrate")
    await operator.run(*ADMIN)

    none = await operator.run("rotate-signing-key")
    rotated = await operator.run("rotate-signing-key", "--now")
    verified = await operator.run("verify-audit")

    assert (none.code, "no key" in none.err) == (1, True)
    assert rotated.out.startswith("signs now: ")
    assert (verified.code, "unbroken" in verified.out) == (0, True)


async def test_a_role_is_added_listed_and_removed(operator: Operator) -> None:
    await operator.run("migrate")
    add = ("roles", "add", "editor", "--description", "Edits what others write")

    added = await operator.run(*add)
    again = await operator.run(*add)
    listed = await operator.run("roles", "list")
    removed = await operator.run("roles", "remove", "editor")
    gone = await operator.run("roles", "remove", "editor")

    assert (added.code, added.out) == (0, "role added: editor\n")
    assert (again.code, again.out) == (0, "the role editor already exists\n")
    assert listed.out.splitlines()[-1] == "editor     Edits what others write"
    assert (removed.code, removed.out) == (0, "role removed: editor\n")
    assert (gone.code, gone.err) == (1, "There is no such role.\n")


async def test_a_role_that_somebody_has_is_not_removed(operator: Operator) -> None:
    await operator.run("migrate")
    naming = {"IDENTITY_SELF_ASSIGNABLE_ROLES": "user,moderator"}
    async with running_identity(identity_settings(operator.url, **naming)) as identity:
        await identity.sign_up("alice", roles=["moderator"])

    in_use = await operator.run("roles", "remove", "moderator")
    named = await operator.run("roles", "remove", "moderator", **naming)
    guarding = {"IDENTITY_SECOND_FACTOR_ROLES": "moderator"}
    guarded = await operator.run("roles", "remove", "moderator", **guarding)

    assert (in_use.code, "take it from them first" in in_use.err) == (1, True)
    assert (named.code, "one of its settings" in named.err) == (1, True)
    assert (guarded.code, "one of its settings" in guarded.err) == (1, True)


async def test_the_doctor_misses_a_role_that_settings_name(operator: Operator) -> None:
    await operator.run("migrate")

    ended = await operator.run("doctor", IDENTITY_SELF_ASSIGNABLE_ROLES="user,editor")

    assert ended.code == 1
    assert "fault roles: no such role: editor -> identity-service roles" in ended.out


async def test_bad_settings_are_all_named_and_end_it_with_2(operator: Operator) -> None:
    ended = await operator.run(
        "serve", IDENTITY_ISSUER="nowhere", IDENTITY_TOKEN_TRANSPORT="pigeon"
    )

    assert ended.code == 2
    assert "setting IDENTITY_ISSUER" in ended.err
    assert "setting IDENTITY_TOKEN_TRANSPORT" in ended.err
