"""Guesses at all credentials of one account are counted as one."""

import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

import pytest
from tests.support.factors import enrolled
from tests.support.identity import (
    OTHER_PASSWORD,
    Answer,
    IdentityClient,
    MovableClock,
    identity_settings,
    running_identity,
)
from tests.support.mail_server import MailServer

ALICE: Final = "alice@example.test"

ALLOWED: Final = 10
"""Wrong guesses at one account in a minute, from wherever they come."""

Guess = Callable[[], Awaitable[Answer]]


@pytest.fixture
async def identity(
    database_url: str, mail_server: MailServer
) -> AsyncIterator[IdentityClient]:
    settings = identity_settings(
        database_url,
        IDENTITY_MAIL_URL=mail_server.url,
        IDENTITY_EMAIL_VERIFICATION="optional",
        IDENTITY_SIGN_IN_CODES="on",
        IDENTITY_THROTTLE="on",
    )
    async with running_identity(settings) as client:
        yield client


def guesses(identity: IdentityClient, reset_token: str) -> dict[str, Guess]:
    """Return a wrong guess at each credential, each time from another network."""
    sources = (f"203.0.{number}.7" for number in itertools.count(1))

    def post(path: str, **members: str) -> Guess:
        return lambda: identity.send(
            "POST",
            f"/api/auth/{path}",
            json=members,
            headers={"X-Forwarded-For": next(sources)},
        )

    wrong = reset_token[:-1] + ("A" if reset_token[-1] != "A" else "B")
    return {
        "password by name": post("signin", username="alice", password="a wrong guess"),
        "password by address": post("signin", username=ALICE, password="a wrong guess"),
        "mailed code": post("signin/code/confirm", email=ALICE, code="00000000"),
        "reset token": post(
            "password-reset/confirm", token=wrong, password=OTHER_PASSWORD
        ),
    }


async def test_p8_guesses_count_alike_whatever_credential_they_are_at(
    identity: IdentityClient, mail_server: MailServer
) -> None:
    await identity.sign_up("alice")
    await mail_server.next_to(ALICE)
    await identity.send("POST", "/api/auth/password-reset", json={"email": ALICE})
    token = (await mail_server.next_to(ALICE)).token
    every = guesses(identity, token)

    tried = list(itertools.islice(itertools.cycle(every.values()), ALLOWED))
    answers = [await guess() for guess in tried]
    refused = {name: await guess() for name, guess in every.items()}

    assert {answer.status for answer in answers} == {400, 401}
    assert {name: answer.status for name, answer in refused.items()} == dict.fromkeys(
        every, 429
    )


async def test_p8_reset_does_not_end_the_row_of_who_has_a_second_factor(
    identity: IdentityClient, mail_server: MailServer
) -> None:
    await enrolled(identity, MovableClock())
    await mail_server.next_to(ALICE)
    await identity.send("POST", "/api/auth/password-reset", json={"email": ALICE})
    token = (await mail_server.next_to(ALICE)).token
    guess = guesses(identity, token)["mailed code"]
    for _ in range(ALLOWED - 1):
        await guess()

    body = {"token": token, "password": OTHER_PASSWORD}
    source = {"X-Forwarded-For": "198.51.100.7"}
    reset = await identity.send(
        "POST", "/api/auth/password-reset/confirm", json=body, headers=source
    )

    assert reset.status == 200
    assert [(await guess()).status for _ in range(2)] == [401, 429]
