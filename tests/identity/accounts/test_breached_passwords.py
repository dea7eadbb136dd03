"""A leaked password is refused wherever one is chosen."""

import contextlib
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from tests.support.identity import (
    OTHER_PASSWORD,
    PASSWORD,
    Answer,
    IdentityClient,
    create_admin,
    identity_settings,
    running_identity,
)
from tests.support.mail_server import MailServer, running_mail_server

from identity_service.composition import Services
from identity_service.domain.accounts.passwords import WeakPasswordError
from identity_service.domain.errors import InvalidFieldsError
from identity_service.settings import Settings

LEAKED = "an old favourite phrase"


class Setting(NamedTuple):
    identity: IdentityClient
    settings: Settings
    mail_server: MailServer


async def respond(request: web.Request) -> web.Response:
    known = hashlib.sha1(LEAKED.encode(), usedforsecurity=False).hexdigest().upper()
    is_asked = request.match_info["prefix"] == known[:5]
    return web.Response(text=f"{known[5:] if is_asked else '0' * 35}:3")


@contextlib.asynccontextmanager
async def running_mirror() -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_get("/range/{prefix}", respond)
    async with TestServer(app) as server:
        yield str(server.make_url("/range"))


@pytest.fixture
async def there(database_url: str, tmp_path: Path) -> AsyncIterator[Setting]:
    async with running_mirror() as mirror, running_mail_server(tmp_path) as mail_server:
        settings = identity_settings(
            database_url,
            IDENTITY_BREACHED_PASSWORDS_URL=mirror,
            IDENTITY_MAIL_URL=mail_server.url,
        )
        async with running_identity(settings) as identity:
            yield Setting(identity, settings, mail_server)


def is_refused(answer: Answer, field: str = "password") -> bool:
    (error,) = answer.json["errors"]
    return (answer.status, error["field"], error["code"]) == (
        400,
        field,
        "password_breached",
    )


async def by_mail(there: Setting, address: str) -> None:
    """Choose a leaked password by the token of a mail, and then another one by it."""
    token = (await there.mail_server.next_to(address)).token
    for password, status in ((LEAKED, 400), (OTHER_PASSWORD, 200)):
        answer = await there.identity.send(
            "POST",
            "/api/auth/password-reset/confirm",
            json={"token": token, "password": password},
        )
        assert answer.status == status
        assert status == 200 or is_refused(answer)


async def test_at_sign_up(there: Setting) -> None:
    assert is_refused(await there.identity.sign_up("alice", password=LEAKED))
    assert (await there.identity.sign_in("alice", LEAKED)).status == 401
    assert (await there.identity.sign_up("alice")).status == 200


async def test_at_a_change(there: Setting) -> None:
    token = (await there.identity.signed_in("alice"))["accessToken"]
    body = {"currentPassword": PASSWORD, "newPassword": LEAKED}

    answer = await there.identity.call(
        "POST", "/api/users/me/password", token, json=body
    )

    assert is_refused(answer, "newPassword")
    assert (await there.identity.sign_in("alice")).status == 200


async def test_at_a_reset(there: Setting) -> None:
    assert (await there.identity.sign_up("alice")).status == 200
    body = {"email": "alice@example.test"}
    await there.identity.send("POST", "/api/auth/password-reset", json=body)

    await by_mail(there, "alice@example.test")


async def test_at_an_invitation(there: Setting, database_url: str) -> None:
    await create_admin(database_url)
    admin = (await there.identity.sign_in("boss")).json["accessToken"]
    body = {"username": "zoe", "email": "zoe@example.test", "invite": True}
    await there.identity.call("POST", "/api/users", admin, json=body)

    await by_mail(there, "zoe@example.test")


async def test_at_commands(there: Setting) -> None:
    async with Services(there.settings) as services:
        with pytest.raises(InvalidFieldsError, match="leak"):
            await services.sign_ups.create_admin(
                "boss", "boss@example.test", LEAKED, temporary=False
            )
        await there.identity.sign_up("alice")
        with pytest.raises(WeakPasswordError, match="leak"):
            await services.accounts.password_resets.set_temporary("alice", LEAKED)


async def test_who_has_a_leaked_password_already_still_signs_in(
    database_url: str,
) -> None:
    async with running_identity(identity_settings(database_url)) as identity:
        assert (await identity.sign_up("alice", password=LEAKED)).status == 200
    async with running_mirror() as mirror:
        settings = identity_settings(
            database_url, IDENTITY_BREACHED_PASSWORDS_URL=mirror
        )
        async with running_identity(settings) as identity:
            assert (await identity.sign_in("alice", LEAKED)).status == 200
