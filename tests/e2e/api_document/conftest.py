"""One running system for all who judge it by its document."""

import asyncio
from collections.abc import Iterator
from typing import Final

import pytest
from aiohttp import ClientSession
from tests.support.stack import Stack

PASSWORD: Final = "a lamp, a fern, a quiet river"
ADMINS: Final = [f"keeper{number}" for number in range(40)]


@pytest.fixture(scope="package")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("document")
    overrides = {
        "IDENTITY_MAIL_URL": f"file://{folder}/mails",
        "IDENTITY_MAILBOX": "on",
        "IDENTITY_THROTTLE": "off",
        "GATEWAY_RATE_LIMITS": "off",
        "IDENTITY_BCRYPT_COST": "4",
    }
    with Stack(folder, overrides) as running:
        asyncio.run(make_administrators(running))
        yield running


async def make_administrators(stack: Stack) -> None:
    async with ClientSession(stack.base_url) as session:

        async def send(method: str, path: str, body: object, token: str = "") -> object:
            headers = {"Authorization": f"Bearer {token}"} if token else {}
            response = await session.request(method, path, json=body, headers=headers)
            assert response.status == 200, await response.text()
            return await response.json()

        signed_in = await send(
            "POST",
            "/api/auth/signin",
            {"username": stack.admin_name, "password": stack.admin_password},
        )
        assert isinstance(signed_in, dict)
        token = signed_in["accessToken"]
        for name in ADMINS:
            address = f"{name}@example.com"
            account = {"username": name, "email": address, "password": PASSWORD}
            await send("POST", "/api/auth/signup", account)
            found = await send("GET", f"/api/users?search={name}", None, token)
            assert isinstance(found, dict)
            path = f"/api/users/{found['users'][0]['id']}/roles"
            await send("PUT", path, {"roles": ["user", "admin", "moderator"]}, token)
