"""Nobody learns who has an account from paths that take an address or a code."""

import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final

import pytest
from tests.support.identity import (
    PASSWORD,
    Answer,
    IdentityClient,
    identity_settings,
    running_identity,
)
from tests.support.mail_server import MailServer
from tests.support.timing import assert_alike

HASHING: Final = frozenset({"signin", "signup"})
"""Paths that take long, whose medians few tries settle."""
KNOWN: Final = "alice@example.test"
UNKNOWN: Final = "nobody@example.test"

numbers: Final = itertools.count()


@pytest.fixture
async def identity(
    database_url: str, mail_server: MailServer
) -> AsyncIterator[IdentityClient]:
    settings = identity_settings(
        database_url,
        IDENTITY_MAIL_URL=mail_server.url,
        IDENTITY_EMAIL_VERIFICATION="required",
        IDENTITY_SIGN_IN_CODES="on",
        IDENTITY_BCRYPT_COST="8",
    )
    async with running_identity(settings) as client:
        await client.sign_up("alice")
        token = (await mail_server.next_to(KNOWN)).token
        await client.send("POST", "/api/auth/email-verification", json={"token": token})
        yield client


def members_for(path: str, email: str) -> dict[str, Any]:
    """Return the body of a request about an address that is known or not."""
    match path:
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
@pytest.mark.parametrize(
    "path",
    [
        "password-reset",
        "email-verification/resend",
        "signin/code",
        "signin/code/confirm",
        "signin",
        "signup",
    ],
)
async def test_p7_known_and_unknown_addresses_are_alike(
    identity: IdentityClient, path: str
) -> None:
    async def ask(email: str) -> Answer:
        return await identity.send(
            "POST", f"/api/auth/{path}", json=members_for(path, email)
        )

    known, unknown = await ask(KNOWN), await ask(UNKNOWN)
    assert (known.status, without_id(known)) == (unknown.status, without_id(unknown))
    assert known.headers["Content-Length"] == unknown.headers["Content-Length"]

    cases: dict[str, Callable[[], Awaitable[object]]] = {
        "known": lambda: ask(KNOWN),
        "unknown": lambda: ask(UNKNOWN),
    }
    await assert_alike(cases, tries=60 if path in HASHING else 250)


def without_id(answer: Answer) -> dict[str, object]:
    """Return the members of a body but the request's own id."""
    return {name: value for name, value in answer.json.items() if name != "instance"}
