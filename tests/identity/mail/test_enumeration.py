"""Nobody learns who has an account from paths that take an address or a code."""

import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, Final

import pytest
from pydantic import BaseModel
from tests.support.authenticators import Authenticator
from tests.support.database import TIMED_BACKENDS
from tests.support.factors import registered
from tests.support.identity import (
    PASSWORD,
    Answer,
    IdentityClient,
    identity_settings,
    running_identity,
)
from tests.support.mail_server import MailServer
from tests.support.timing import assert_alike

from identity_service.routes import OPERATIONS
from identity_service.settings import Settings
from service_kit.operations import ANYBODY, USERS

HASHING: Final = frozenset({"/api/auth/signin", "/api/auth/signup"})
"""Paths that take long, whose medians few tries settle."""
KNOWN: Final = "alice@example.test"
GUARDED: Final = "grace@example.test"
"""Has a passkey as well."""
UNKNOWN: Final = "nobody@example.test"

PATHS: Final = (
    "/api/auth/password-reset",
    "/api/auth/email-verification/resend",
    "/api/auth/signin/code",
    "/api/auth/signin/code/confirm",
    "/api/auth/signin",
    "/api/auth/signup",
    "/api/users/me/email",
)
"""What takes an address, or the name of somebody."""

ELSEWHERE: Final[Mapping[str, str]] = {
    "/api/auth/signin/second-factor": "tests/identity/factors/test_neutrality.py",
    "/api/users/me": "says which names are taken, as sign-up has to; addresses are"
    " not set here where they are verified",
    "/api/users/me/fresh": "says of the caller alone",
    "/api/users/me/totp/confirm": "says of the caller alone",
    "/oauth2/revoke": "says nothing of any token (RFC 7009)",
    **dict.fromkeys(
        (
            "/api/auth/password-reset/confirm",
            "/api/auth/email-verification",
            "/api/auth/email-change/confirm",
            "/api/auth/email-change/undo",
            "/api/auth/factor-change/undo",
        ),
        "names its account by 128 random bits, which come with the secret",
    ),
}
"""Why what takes one is not among those."""

TELLING: Final = frozenset({"username", "email", "code", "challenge", "password"})
MAILED: Final = frozenset({"token"})

numbers: Final = itertools.count()


@pytest.fixture
async def identity(
    database_url: str, mail_server: MailServer, unused_tcp_port: int
) -> AsyncIterator[IdentityClient]:
    """Identity with users whose addresses are verified.

    Its mail server is away then: letters that are sent meanwhile, by the same event
    loop, hold up requests by chance, and none that they are about.
    """

    def settings(mail_url: str) -> Settings:
        return identity_settings(
            database_url,
            IDENTITY_MAIL_URL=mail_url,
            IDENTITY_EMAIL_VERIFICATION="required",
            IDENTITY_SIGN_IN_CODES="on",
            IDENTITY_BCRYPT_COST="8",
        )

    async with running_identity(settings(mail_server.url)) as client:
        await client.sign_up("alice")
        await client.sign_up("grace")
        for email in (KNOWN, GUARDED):
            body = {"token": (await mail_server.next_to(email)).token}
            await client.send("POST", "/api/auth/email-verification", json=body)
        token = (await client.sign_in("grace")).json["accessToken"]
        assert (await registered(client, token, Authenticator())).status == 201
    away = f"smtp-plain://127.0.0.1:{unused_tcp_port}"
    async with running_identity(settings(away)) as client:
        yield client


def members_for(path: str, email: str) -> dict[str, Any]:
    """Return the body of a request about an address that is known or not."""
    match path.removeprefix("/api/auth/"):
        case "signin":
            return {"username": email, "password": "a wrong guess"}
        case "signin/code/confirm":
            return {"email": email, "code": "00000000"}
        case "signup":
            number = next(numbers)
            if email == UNKNOWN:
                email = f"nobody{number}@example.test"
            return {"username": f"new{number}", "email": email, "password": PASSWORD}
        case _:
            return {"email": email}


@pytest.mark.quiet
@pytest.mark.timeout(600)
@pytest.mark.parametrize("database_url", TIMED_BACKENDS, indirect=True)
@pytest.mark.parametrize("path", PATHS)
async def test_p7_known_and_unknown_addresses_are_alike(
    identity: IdentityClient, path: str
) -> None:
    bearer = (await identity.sign_in("alice")).json["accessToken"]
    headers = {"Authorization": f"Bearer {bearer}"} if "/me/" in path else {}

    async def ask(email: str) -> Answer:
        body = members_for(path, email)
        return await identity.send("POST", path, json=body, headers=headers)

    cases: dict[str, Callable[[], Awaitable[Answer]]] = {
        "guarded": lambda: ask(GUARDED),
        "unknown": lambda: ask(UNKNOWN),
    }
    if not headers:  # or it is their own
        cases["known"] = lambda: ask(KNOWN)
    shown = [seen_of(await case()) for case in cases.values()]
    assert shown == [shown[0]] * len(cases)

    await assert_alike(
        cases, tries=60 if path.rsplit("/", maxsplit=1)[-1] in HASHING else 250
    )


async def test_p7_an_export_does_not_say_whether_an_address_is_anybodys(
    database_url: str, unused_tcp_port: int
) -> None:
    nowhere = f"smtp-plain://127.0.0.1:{unused_tcp_port}"
    settings = identity_settings(database_url, IDENTITY_MAIL_URL=nowhere)
    async with running_identity(settings) as identity:
        await identity.sign_up("grace")
        token = (await identity.signed_in("alice"))["accessToken"]
        waiting = []
        for email in (GUARDED, UNKNOWN):
            body = {"email": email}
            await identity.call("POST", "/api/users/me/email", token, json=body)
            export = await identity.call("GET", "/api/users/me/export", token)
            waiting.append(export.json["mails"])

    assert waiting == [[], []]


def test_p7_every_path_that_takes_a_name_an_address_or_a_code_is_looked_at() -> None:
    taking = {
        operation.path
        for operation in OPERATIONS
        if operation.access in {ANYBODY, USERS}
        and operation.body is not None
        and issubclass(operation.body, BaseModel)
        and (TELLING | MAILED) & members_of(operation.body)
    }

    assert taking == {*PATHS, *ELSEWHERE}


def members_of(model: type[BaseModel]) -> set[str]:
    return {field.alias or name for name, field in model.model_fields.items()}


def seen_of(answer: Answer) -> tuple[int, str, dict[str, object]]:
    """Return what an observer sees, but for what is random and of one length."""
    random = {"instance", "challenge"}
    members = {name: value for name, value in answer.json.items() if name not in random}
    return answer.status, answer.headers["Content-Length"], members
