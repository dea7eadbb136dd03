"""Roles are rows: what administrators, and replicas that never heard of one, see."""

import asyncio
from collections.abc import Awaitable
from http import HTTPStatus
from types import NoneType
from typing import Any, Final

import pytest
from sqlalchemy import delete, insert, select
from tests.support.database import connected
from tests.support.identity import (
    Answer,
    IdentityClient,
    identity_settings,
    running_identity,
    starting_identity,
)
from tests.support.tokens import claims_of

from identity_service.composition import Services
from identity_service.domain.accounts.roles import BUILT_IN, MOST_ROLES, Role
from identity_service.domain.errors import RoleInUseError
from identity_service.storage.tables import audit_events, roles, user_roles

STAGGER: Final = 0.004
"""Seconds, so that some of the rounds meet in the middle of a sign-up."""

EDITOR: Final = {"name": "editor", "description": "Edits what others write"}


async def add(identity: IdentityClient, admin: str, **members: Any) -> Answer:  # noqa: ANN401 - JSON
    return await identity.call("POST", "/api/roles", admin, json={**EDITOR, **members})


async def names(identity: IdentityClient, admin: str) -> list[str]:
    listed = await identity.call("GET", "/api/roles", admin)
    assert listed.status == HTTPStatus.OK, listed.text
    return [each["name"] for each in listed.json["details"]]


async def test_a_role_is_added_listed_given_and_removed(
    identity: IdentityClient, admin: str
) -> None:
    alice = await identity.signed_in("alice")
    of_alice = f"/api/users/{alice['id']}/roles"
    before = await names(identity, admin)

    added = await add(identity, admin)
    listed = await identity.call("GET", "/api/roles", admin)
    given = await identity.call("PUT", of_alice, admin, json={"roles": ["ROLE_EDITOR"]})
    in_use = await identity.call("DELETE", "/api/roles/editor", admin)
    await identity.call("PUT", of_alice, admin, json={"roles": ["user"]})
    removed = await identity.call("DELETE", "/api/roles/editor", admin)
    again = await identity.call("DELETE", "/api/roles/editor", admin)

    assert (added.status, added.json) == (201, EDITOR)
    assert added.headers["Location"] == "/api/roles/editor"
    assert listed.json["roles"][-1] == "ROLE_EDITOR"
    assert listed.json["details"][-1] == EDITOR
    assert given.json["roles"] == ["ROLE_EDITOR"]
    assert (in_use.status, in_use.json["code"]) == (409, "role_in_use")
    assert (removed.status, removed.message) == (200, "Role removed.")
    assert (again.status, again.json["code"]) == (404, "role_not_found")
    assert await names(identity, admin) == before


async def test_every_role_is_described(identity: IdentityClient, admin: str) -> None:
    listed = await identity.call("GET", "/api/roles", admin)

    assert all(each["description"] for each in listed.json["details"])
    assert listed.json["roles"] == [
        f"ROLE_{each['name'].upper()}" for each in listed.json["details"]
    ]


async def test_adding_and_removing_is_audited(
    identity: IdentityClient, admin: str, database_url: str
) -> None:
    me = (await identity.call("GET", "/api/users/me", admin)).json
    await add(identity, admin)
    await add(identity, admin)
    await identity.call("DELETE", "/api/roles/editor", admin)

    wanted = select(audit_events.c.action, audit_events.c.actor_id).where(
        audit_events.c.action.like("role.%")
    )
    async with connected(database_url) as engine, engine.connect() as connection:
        told = (await connection.execute(wanted.order_by(audit_events.c.id))).all()
    assert told == [("role.added", me["id"]), ("role.removed", me["id"])]


@pytest.mark.parametrize("name", sorted(BUILT_IN))
async def test_a_role_that_identity_needs_stays(
    identity: IdentityClient, admin: str, name: str
) -> None:
    answer = await identity.call("DELETE", f"/api/roles/{name}", admin)

    assert (answer.status, answer.json["code"]) == (409, "role_needed")


async def test_a_role_that_identity_needs_has_no_second_name(
    identity: IdentityClient, admin: str
) -> None:
    before = await names(identity, admin)
    for name in sorted(BUILT_IN):
        answer = await identity.call("DELETE", f"/api/roles/{name}%20", admin)
        assert (answer.status, answer.json["code"]) == (404, "role_not_found")

    assert await names(identity, admin) == before


@pytest.mark.parametrize(
    ("members", "field"),
    [
        pytest.param({"name": "Editor"}, "name", id="upper case"),
        pytest.param({"name": "x" * 33}, "name", id="long name"),
        pytest.param({"name": 1}, "name", id="number"),
        pytest.param({"description": ""}, "description", id="no description"),
        pytest.param({"description": "a\nb"}, "description", id="two lines"),
        pytest.param({"permissions": []}, "permissions", id="unknown member"),
    ],
)
async def test_a_bad_role_is_refused(
    identity: IdentityClient, admin: str, members: dict[str, object], field: str
) -> None:
    answer = await add(identity, admin, **members)

    assert (answer.status, answer.json["code"]) == (400, "invalid_fields")
    assert [each["field"] for each in answer.json["errors"]] == [field]


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
async def test_an_unknown_parameter_is_refused(
    identity: IdentityClient, admin: str, method: str
) -> None:
    path = "/api/roles/editor" if method == "DELETE" else "/api/roles"

    answer = await identity.call(method, f"{path}?limit=1", admin, json=EDITOR)

    assert (answer.status, answer.json["errors"][0]["field"]) == (400, "limit")


@pytest.mark.parametrize("name", ["%00", "%ff", "%ed%a0%80", "%F0%9F%92%A9", "x" * 999])
async def test_an_odd_name_is_not_found(
    identity: IdentityClient, admin: str, name: str
) -> None:
    answer = await identity.call("DELETE", f"/api/roles/{name}", admin)

    assert answer.status == HTTPStatus.NOT_FOUND


async def test_of_simultaneous_additions_one_succeeds(
    identity: IdentityClient, admin: str
) -> None:
    same = await asyncio.gather(*(add(identity, admin) for _ in range(6)))
    different = await asyncio.gather(
        *(add(identity, admin, name=f"role-{n}") for n in range(6))
    )

    assert sorted(each.status for each in same) == [201] + [409] * 5
    assert {each.json["code"] for each in same if each.status != 201} == {"role_exists"}
    assert {each.status for each in different} == {201}


async def test_a_role_is_taken_or_removed_but_not_both(database_url: str) -> None:
    """Signing up takes no lock that removing takes: the foreign key decides."""
    naming = identity_settings(
        database_url, IDENTITY_SELF_ASSIGNABLE_ROLES="user,editor"
    )
    async with Services(identity_settings(database_url)) as operator:
        editor = Role.parse(**EDITOR)
        await operator.roles.add(editor)
        outcomes = set()
        async with running_identity(naming) as identity:
            for n in range(12):
                signed_up, removed = await asyncio.gather(
                    identity.sign_up(f"user{n}", roles=["editor"]),
                    after(n * STAGGER, operator.roles.remove("editor")),
                    return_exceptions=True,
                )
                assert isinstance(signed_up, Answer)
                outcomes.add((signed_up.status, type(removed)))
                if removed is None:
                    await operator.roles.add(editor)
                    continue
                answer = await identity.sign_in(f"user{n}")
                assert answer.json["roles"] == ["ROLE_EDITOR"]
                await take_from_all(database_url)

    assert outcomes <= {(200, RoleInUseError), (400, NoneType)}, outcomes


async def after(seconds: float, work: Awaitable[None]) -> None:
    await asyncio.sleep(seconds)
    await work


async def take_from_all(database_url: str) -> None:
    async with connected(database_url) as engine, engine.begin() as connection:
        await connection.execute(delete(user_roles))


async def test_there_are_only_so_many_roles(
    identity: IdentityClient, admin: str, database_url: str
) -> None:
    present = len(await names(identity, admin))
    async with connected(database_url) as engine, engine.begin() as connection:
        more = [
            {"id": n, "name": f"role-{n}"} for n in range(present + 1, MOST_ROLES + 1)
        ]
        await connection.execute(insert(roles), more)

    answer = await add(identity, admin)

    assert (answer.status, answer.json["code"]) == (409, "too_many_roles")


async def test_who_has_every_role_there_may_be_is_let_in(
    identity: IdentityClient, admin: str, database_url: str
) -> None:
    alice = await identity.signed_in("alice")
    async with connected(database_url) as engine, engine.begin() as connection:
        taken = set(await connection.scalars(select(roles.c.id)))
        more = [
            {"id": n, "name": f"role-{n:027}"}
            for n in range(1, MOST_ROLES + 1)
            if n not in taken
        ]
        await connection.execute(insert(roles), more)
    every = await names(identity, admin)
    path = f"/api/users/{alice['id']}/roles"

    given = await identity.call("PUT", path, admin, json={"roles": every})
    refreshed = await identity.refresh(alice["refreshToken"])

    assert (given.status, len(given.json["roles"])) == (200, MOST_ROLES)
    assert await identity.is_accepted(refreshed.json["accessToken"])
    await identity.call("PUT", path, admin, json={"roles": every[:-1]})
    recorded = await identity.events(
        admin, subject=alice["id"], action="account.roles_changed"
    )
    assert [event["details"] for event in recorded] == [
        {"given": "", "taken": every[-1]},
        {"given": " ".join(sorted({*every} - {"user"})), "taken": ""},
    ]


async def store(database_url: str, name: str, *, user_id: int = 0) -> None:
    """Make a role behind identity's back, and give it to somebody."""
    async with connected(database_url) as engine, engine.begin() as connection:
        await connection.execute(insert(roles).values(id=99, name=name))
        if user_id:
            await connection.execute(
                insert(user_roles).values(user_id=user_id, role_id=99)
            )


@pytest.mark.parametrize("name", ["editor", "Hand Made 1"])
async def test_a_replica_goes_on_with_a_role_that_it_never_heard_of(
    identity: IdentityClient, admin: str, database_url: str, name: str
) -> None:
    alice = await identity.signed_in("alice")
    shown = f"ROLE_{name.upper()}"

    await store(database_url, name, user_id=alice["id"])
    refreshed = await identity.refresh(alice["refreshToken"])
    signed_in = await identity.sign_in("alice")
    me = await identity.call("GET", "/api/users/me", refreshed.json["accessToken"])
    page = await identity.call("GET", "/api/users", admin)
    listed = await identity.call("GET", "/api/roles", admin)

    token = refreshed.json["accessToken"]
    claims = claims_of(token)
    assert claims["roles"] == sorted(["user", name])
    assert signed_in.json["roles"] == ["ROLE_USER", shown]
    assert me.json["roles"] == ["ROLE_USER", shown]
    assert [each["roles"] for each in page.json["users"]][-1] == ["ROLE_USER", shown]
    assert shown in listed.json["roles"]


async def test_it_waits_for_the_roles_that_its_settings_name(database_url: str) -> None:
    settings = identity_settings(
        database_url, IDENTITY_SELF_ASSIGNABLE_ROLES="user,editor"
    )
    async with starting_identity(settings) as (identity, readiness):
        before = await readiness.faults()
        await store(database_url, "editor")
        after = await readiness.faults()
        signed_up = await identity.sign_up("alice", roles=["editor"])

    assert before["roles"] == "no such role: editor"
    assert "roles" not in after
    assert signed_up.status == HTTPStatus.OK


async def test_it_waits_for_the_roles_that_it_is_to_guard(database_url: str) -> None:
    settings = identity_settings(
        database_url, IDENTITY_SECOND_FACTOR_ROLES="admin,editor"
    )
    async with starting_identity(settings) as (_, readiness):
        before = await readiness.faults()
        await store(database_url, "editor")
        after = await readiness.faults()

    assert before["roles"] == "no such role: editor"
    assert "roles" not in after
