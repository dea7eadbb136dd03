"""A request that was let in just before its sender ceased to be an administrator."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import pytest
from sqlalchemy import Connection, Engine, event
from tests.support.identity import (
    create_admin,
    identity_settings,
    running_identity,
)

from identity_service.composition import Services
from identity_service.domain.accounts.roles import USER
from identity_service.storage.repositories import Repositories
from service_kit.observability.request_id import NO_REQUEST, request_id

REQUESTS: Final[dict[str, tuple[str, str, Any]]] = {
    "roles": ("PUT", "/api/users/{own}/roles", {"roles": ["admin"]}),
    "the roles that they had": (
        "PUT",
        "/api/users/{other}/roles",
        {"roles": ["user", "admin"]},
    ),
    "adding a role": ("POST", "/api/roles", {"name": "new", "description": "New."}),
    "removing a role": ("DELETE", "/api/roles/moderator", None),
    "ending sessions": ("DELETE", "/api/users/{other}/sessions", None),
    "mailing a token": ("POST", "/api/users/{other}/password-reset", None),
    "enabling": ("PATCH", "/api/users/{own}", {"disabled": False}),
    "disabling": ("PATCH", "/api/users/{other}", {"disabled": True}),
    "renaming": ("PATCH", "/api/users/{other}", {"email": "own2@example.test"}),
    "creating": (
        "POST",
        "/api/users",
        {"username": "new", "email": "new@example.test", "roles": ["admin"]},
    ),
    "deleting": ("DELETE", "/api/users/{other}", None),
}


@contextmanager
def watched_writes() -> Iterator[asyncio.Event]:
    """Yield what is set once a request has been let in and begins to write."""
    is_begun = asyncio.Event()

    def execute(connection: Connection, *_: object) -> None:
        is_write = "writes" in connection.get_execution_options()
        if is_write and request_id.get() != NO_REQUEST:
            is_begun.set()

    event.listen(Engine, "before_cursor_execute", execute)
    try:
        yield is_begun
    finally:
        event.remove(Engine, "before_cursor_execute", execute)


@pytest.mark.parametrize("how", REQUESTS)
async def test_who_is_no_administrator_any_more_administers_nothing(
    database_url: str, how: str
) -> None:
    """A loop of such requests gave back what was taken, whenever it was taken."""
    settings = identity_settings(
        database_url, IDENTITY_MAIL_URL="smtp-plain://127.0.0.1:9"
    )
    async with running_identity(settings) as identity, Services(settings) as services:
        users = {}
        for name in ("own", "other", "third"):
            await create_admin(database_url, name)
            users[name] = (await identity.sign_in(name)).json
        ids = {name: user["id"] for name, user in users.items()}
        third = users["third"]["accessToken"]
        method, path, body = REQUESTS[how]
        before = await identity.events(third)
        is_taken = asyncio.Event()

        async def take(unit: Repositories) -> None:
            """Do what another administrator does, and commit when the request waits."""
            await unit.roles.lock_admin()
            await unit.users.lock(ids["own"])
            if how == "enabling":
                await unit.users.set_disabled(ids["own"], disabled=True)
            else:
                await unit.users.set_roles(ids["own"], {USER})
            is_taken.set()
            await is_begun.wait()

        with watched_writes() as is_begun:
            taking = asyncio.create_task(services.database.write(take))
            await is_taken.wait()
            answer = await identity.call(
                method, path.format_map(ids), users["own"]["accessToken"], json=body
            )
            await taking

        assert (answer.status, answer.json["code"]) == (403, "insufficient_scope")
        assert await identity.events(third) == before
        listed = await identity.call("GET", "/api/users", third)

    found = {each["username"]: each for each in listed.json["users"]}
    assert found.keys() == users.keys()
    assert found["other"]["email"] == "other@example.test"
    assert found["other"]["disabled"] is False
    assert found["own"]["disabled"] is (how == "enabling")
    assert how == "enabling" or found["own"]["roles"] == ["ROLE_USER"]
