"""A request that was let in just before its sender ceased to be an administrator."""

import asyncio
from typing import Any, Final

import pytest
from tests.support.identity import IdentityClient, create_admin, identity_settings

from identity_service.composition import Services
from identity_service.domain.accounts.roles import USER
from identity_service.storage.repositories import Repositories

REQUESTS: Final[dict[str, tuple[str, str, Any]]] = {
    "roles": ("PUT", "/api/users/{own}/roles", {"roles": ["admin"]}),
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


@pytest.mark.parametrize("how", REQUESTS)
async def test_who_is_no_administrator_any_more_administers_nothing(
    identity: IdentityClient, database_url: str, how: str
) -> None:
    """A loop of such requests gave back what was taken, whenever it was taken."""
    users = {}
    for name in ("own", "other", "third"):
        await create_admin(database_url, name)
        users[name] = (await identity.sign_in(name)).json
    ids = {name: user["id"] for name, user in users.items()}
    method, path, body = REQUESTS[how]
    is_taken = asyncio.Event()

    async with Services(identity_settings(database_url)) as services:

        async def take(unit: Repositories) -> None:
            """Do what another administrator does, and commit when the request waits."""
            await unit.roles.lock_admin()
            await unit.users.lock(ids["own"])
            if how == "enabling":
                await unit.users.set_disabled(ids["own"], disabled=True)
            else:
                await unit.users.set_roles(ids["own"], {USER})
            is_taken.set()
            await asyncio.sleep(0.5)

        taking = asyncio.create_task(services.database.write(take))
        await is_taken.wait()
        answer = await identity.call(
            method, path.format_map(ids), users["own"]["accessToken"], json=body
        )
        await taking

    assert (answer.status, answer.json["code"]) == (403, "insufficient_scope")
    listed = await identity.call("GET", "/api/users", users["third"]["accessToken"])
    found = {each["username"]: each for each in listed.json["users"]}
    assert found.keys() == users.keys()
    assert found["other"]["email"] == "other@example.test"
    assert found["other"]["disabled"] is False
    assert found["own"]["disabled"] is (how == "enabling")
    assert how == "enabling" or found["own"]["roles"] == ["ROLE_USER"]
