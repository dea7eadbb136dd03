"""Owners whose account is guessed at by others sign in from new networks."""

import pytest
from tests.support.factors import enrolled
from tests.support.identity import (
    PASSWORD,
    MovableClock,
    identity_settings,
    running_identity,
)

from identity_service.composition import Services
from identity_service.domain.errors import (
    InvalidCredentialsError,
    SecondFactorRequiredError,
    TooManyAttemptsError,
)
from identity_service.domain.limits.throttling import SIGN_INS_OF_USER
from identity_service.domain.sessions.sessions import Device
from identity_service.usecases.factors.proofs import UntrustedProof

HOTEL = Device("phone", "198.51.100.7")


def attacker(number: int) -> Device:
    """Return one of many networks."""
    return Device("bot", f"203.{number // 256}.{number % 256}.7")


async def test_p8_an_owner_under_attack_does_both_steps_in_one_place_of_a_newcomer(
    database_url: str, clock: MovableClock
) -> None:
    async with running_identity(identity_settings(database_url), clock=clock) as client:
        alice = await enrolled(client, clock)
    seconds = 0.0
    async with Services(
        identity_settings(database_url, IDENTITY_THROTTLE="on"),
        clock=clock,
        monotonic=lambda: seconds,
    ) as services:
        sign_in = services.passwords.sign_in
        complete = services.factors.second_steps.complete
        for number in range(SIGN_INS_OF_USER[1].amount):
            seconds += 60 if number == SIGN_INS_OF_USER[0].amount else 0
            with pytest.raises(SecondFactorRequiredError):
                await sign_in("alice", "a wrong guess", attacker(number))

        with pytest.raises(SecondFactorRequiredError) as asked:
            await sign_in("alice", PASSWORD, HOTEL)
        with pytest.raises(TooManyAttemptsError):
            await sign_in("alice", "a wrong guess", attacker(1000))
        code = UntrustedProof(code=alice.next_code(clock))
        user, _ = await complete(asked.value.challenge, code, HOTEL)
        assert user.username == "alice"
        with pytest.raises((TooManyAttemptsError, InvalidCredentialsError)):
            await complete(asked.value.challenge, code, attacker(1001))
