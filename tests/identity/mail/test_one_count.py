"""Guesses at all credentials of one account are counted as one."""

import contextlib
import itertools
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

import pytest
from tests.support.factors import challenge_of, enrolled, second_step
from tests.support.identity import (
    OTHER_PASSWORD,
    Answer,
    IdentityClient,
    MovableClock,
    identity_settings,
)
from tests.support.mail_server import MailServer

from identity_service.composition import Services
from identity_service.domain.errors import (
    InvalidCredentialsError,
    OneTimeTokenRefusedError,
    SecondFactorRequiredError,
    TooManyAttemptsError,
)
from identity_service.domain.factors import CHALLENGE_LIFETIME
from identity_service.domain.sessions.sessions import Device
from identity_service.settings import Settings
from identity_service.usecases.factors.proofs import UntrustedProof

ALICE: Final = "alice@example.test"

ALLOWED: Final = 10
"""Wrong guesses at one account in a minute, from wherever they come."""

FIRST_STEPS: Final = frozenset({"password", "mailed code"})
SECOND_STEPS: Final = frozenset({"code of an app", "recovery code"})

Guess = Callable[[], Awaitable[Answer]]


@pytest.fixture
def settings(database_url: str, mail_server: MailServer) -> Settings:
    return identity_settings(
        database_url,
        IDENTITY_MAIL_URL=mail_server.url,
        IDENTITY_EMAIL_VERIFICATION="optional",
        IDENTITY_SIGN_IN_CODES="on",
        IDENTITY_THROTTLE="on",
    )


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


@pytest.mark.parametrize("known", [True, False])
async def test_p8_an_address_has_one_count_whether_anybody_has_it_or_not(
    identity: IdentityClient, *, known: bool
) -> None:
    email = "s\u00f6ren@example.test"
    if known:
        assert (await identity.sign_up("alice", email=email)).status == 200
    for _ in range(ALLOWED):
        assert (await identity.sign_in(email, "a wrong guess")).status == 401
    body = {"email": email, "code": "00000000"}

    answer = await identity.send("POST", "/api/auth/signin/code/confirm", json=body)

    assert answer.status == 429


async def test_p8_guesses_of_others_keep_no_owner_from_a_reset(
    identity: IdentityClient, mail_server: MailServer
) -> None:
    await identity.sign_up("alice")
    await mail_server.next_to(ALICE)
    await identity.send("POST", "/api/auth/password-reset", json={"email": ALICE})
    token = (await mail_server.next_to(ALICE)).token
    guess = guesses(identity, token)["password by name"]
    for _ in range(ALLOWED):
        assert (await guess()).status == 401

    source = {"X-Forwarded-For": "198.51.100.7"}
    assert (await identity.sign_in("alice", headers=source)).status == 429
    body = {"token": token, "password": OTHER_PASSWORD}
    reset = await identity.send(
        "POST", "/api/auth/password-reset/confirm", json=body, headers=source
    )
    signed_in = await identity.sign_in("alice", OTHER_PASSWORD, headers=source)

    assert (reset.status, signed_in.status) == (200, 200)


async def test_p8_reset_does_not_end_the_row_of_who_has_a_second_factor(
    identity: IdentityClient, mail_server: MailServer
) -> None:
    await enrolled(identity, MovableClock())
    for _ in ("verification", "app"):
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


async def test_p8_a_code_of_ones_own_app_pays_for_no_guesses_at_the_password(
    identity: IdentityClient,
) -> None:
    clock = MovableClock()
    alice = await enrolled(identity, clock)
    challenge = await challenge_of(identity, "alice")
    signed_in = await second_step(identity, challenge, code=alice.recovery_codes[0])
    token = signed_in.json["accessToken"]

    async def prove(**proof: str) -> int:
        answer = await identity.call("POST", "/api/users/me/fresh", token, json=proof)
        return answer.status

    guesses = [await prove(password="a wrong guess") for _ in range(ALLOWED - 2)]
    right = await prove(code=alice.recovery_codes[1])
    further = [await prove(password="a wrong guess") for _ in range(3)]

    assert ({*guesses}, right, further) == ({400}, 200, [400, 400, 429])


class Guesser:
    """Somebody in one network who guesses at all that alice has, and obeys."""

    def __init__(self, services: Services, reset_token: str) -> None:
        self._services = services
        self._reset_token = reset_token[:-1] + ("A" if reset_token[-1] != "A" else "B")
        self._sources = (f"203.0.113.{n % 256}" for n in itertools.count())
        self.challenge = ""
        self.every: Final = {
            "password": self.password,
            "mailed code": self.mailed_code,
            "code of an app": self.code,
            "recovery code": self.recovery_code,
            "reset token": self.reset,
        }

    def here(self) -> Device:
        return Device("guesser", next(self._sources))

    async def password(self) -> None:
        sign_in = self._services.passwords.sign_in
        with self.noting_the_challenge():
            await sign_in("alice", "a wrong guess", self.here())

    async def mailed_code(self) -> None:
        sign_in = self._services.accounts.code_sign_ins.sign_in
        with self.noting_the_challenge():
            await sign_in(ALICE, "00000000", self.here())

    async def code(self) -> None:
        await self.second_step("000000")

    async def recovery_code(self) -> None:
        await self.second_step("aaaa-bbbb-cccc-dddd")

    async def reset(self) -> None:
        resets = self._services.accounts.password_resets
        with pytest.raises(OneTimeTokenRefusedError):
            await resets.confirm(self._reset_token, OTHER_PASSWORD, self.here())

    async def second_step(self, code: str) -> None:
        complete = self._services.factors.second_steps.complete
        with pytest.raises(InvalidCredentialsError):
            await complete(self.challenge, UntrustedProof(code=code), self.here())

    @contextlib.contextmanager
    def noting_the_challenge(self) -> Iterator[None]:
        with pytest.raises(SecondFactorRequiredError) as asked:
            yield
        self.challenge = asked.value.challenge


@dataclass
class Attack:
    """A guesser, and the time, which only waiting turns."""

    clock: MovableClock
    guesser: Guesser = field(init=False)
    seconds: float = 0.0
    asked_at: timedelta = -CHALLENGE_LIFETIME
    """When the latest challenge was made."""

    def monotonic(self) -> float:
        return self.seconds

    @property
    def is_over(self) -> bool:
        return timedelta(seconds=self.seconds) >= timedelta(days=30)

    async def guess(self, name: str) -> str:
        """Guess once at a credential, and return at which: first steps come first."""
        while True:
            age = timedelta(seconds=self.seconds) - self.asked_at
            if name in SECOND_STEPS and age > CHALLENGE_LIFETIME / 2:
                name = "password"
            try:
                await self.guesser.every[name]()
            except TooManyAttemptsError as refused:
                self.seconds += refused.retry_after.total_seconds()
                self.clock.advance(refused.retry_after)
                continue
            if name in FIRST_STEPS:
                self.asked_at = timedelta(seconds=self.seconds)
            return name


@contextlib.asynccontextmanager
async def attacking(
    settings: Settings, clock: MovableClock, reset_token: str
) -> AsyncIterator[Attack]:
    attack = Attack(clock)
    async with Services(settings, clock=clock, monotonic=attack.monotonic) as services:
        attack.guesser = Guesser(services, reset_token)
        yield attack


async def test_p8_hundred_guesses_at_five_credentials_are_a_hundred(
    settings: Settings, identity: IdentityClient, mail_server: MailServer
) -> None:
    """In thirty days, whatever a guesser of one network guesses at."""
    clock = MovableClock()
    await enrolled(identity, clock)
    for _ in ("verification", "app"):
        await mail_server.next_to(ALICE)
    await identity.send("POST", "/api/auth/password-reset", json={"email": ALICE})
    token = (await mail_server.next_to(ALICE)).token
    looked_at: Counter[str] = Counter()

    async with attacking(settings, clock, token) as attack:
        for name in itertools.cycle(attack.guesser.every):
            guessed_at = await attack.guess(name)
            if attack.is_over:
                break
            looked_at[guessed_at] += 1

    assert 90 <= looked_at.total() <= 100
    assert min(looked_at[name] for name in attack.guesser.every) >= 10
