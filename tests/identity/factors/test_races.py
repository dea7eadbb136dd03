"""What a session or an account becomes while something is done for it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
from tests.support.authenticators import Authenticator
from tests.support.factors import (
    PASSKEYS,
    challenge_of,
    enrolled,
    registered,
    second_step,
)
from tests.support.identity import IdentityClient, MovableClock, identity_settings
from tests.support.tokens import claims_of

from identity_service.composition import Services
from identity_service.domain.accounts.emails import EmailAddress
from identity_service.domain.errors import (
    InvalidCredentialsError,
    UserNotFoundError,
    WrongProofError,
)
from identity_service.domain.sessions.authentication import Authentication, Method
from identity_service.domain.sessions.sessions import Caller, Device
from identity_service.storage.repositories import Repositories
from identity_service.usecases.factors.proofs import UntrustedProof
from identity_service.usecases.users import UserChanges

DEVICE = Device("test", "127.0.0.1")


@pytest.fixture
async def services(database_url: str, clock: MovableClock) -> AsyncIterator[Services]:
    """Return another replica, without HTTP before it."""
    async with Services(identity_settings(database_url), clock=clock) as made:
        yield made


def caller_of(signed_in: Any, clock: MovableClock) -> Caller:  # noqa: ANN401 - parsed JSON
    claims = claims_of(signed_in["accessToken"])
    proven = Authentication(clock(), frozenset({Method.PASSWORD}))
    return Caller(signed_in["id"], claims["sid"], DEVICE, proven)


async def test_ended_session_registers_no_passkey(
    identity: IdentityClient, services: Services, clock: MovableClock
) -> None:
    thief = caller_of(await identity.signed_in("alice"), clock)
    owner = (await identity.sign_in("alice")).json["accessToken"]
    options = await services.factors.passkeys.options(thief)
    await identity.call("DELETE", "/api/users/me/sessions", owner)

    with pytest.raises(WrongProofError):
        await services.factors.passkeys.register(
            thief, Authenticator().create(options), "Phone"
        )

    assert await identity.is_accepted(owner)
    listed = await identity.call("GET", PASSKEYS, owner)
    assert listed.json == {"passkeys": []}


async def test_password_alone_begins_no_session_once_there_is_a_factor(
    identity: IdentityClient, services: Services
) -> None:
    """It was checked before, and the passkey was registered meanwhile."""
    alice = await identity.signed_in("alice")
    verified = await services.users.get(alice["id"])
    made = await registered(identity, alice["accessToken"], Authenticator())
    assert made.status == 201

    with pytest.raises(InvalidCredentialsError):
        await services.tokens.starts.start(
            verified, DEVICE, frozenset({Method.PASSWORD})
        )


@pytest.mark.parametrize(
    "what", ["app", "passkey", "recovery codes", "address", "account"]
)
async def test_ended_session_takes_nothing_from_the_owner(
    identity: IdentityClient, services: Services, clock: MovableClock, what: str
) -> None:
    """The request was let in before the owner ended the thief's session."""
    user = await enrolled(identity, clock)
    challenge = await challenge_of(identity, "alice")
    code = user.next_code(clock)
    stolen = (await second_step(identity, challenge, code=code)).json
    thief = caller_of(stolen, clock)
    await identity.sign_out(stolen["refreshToken"])
    factors, own = services.factors, thief.user_id
    changes = UserChanges(email=EmailAddress.parse("thief@example.test"))
    doing: dict[str, Callable[[], Awaitable[object]]] = {
        "app": lambda: factors.totp.remove(thief),
        "passkey": lambda: factors.passkeys.remove(thief, "any"),
        "recovery codes": lambda: factors.totp.renew_recovery_codes(thief),
        "address": lambda: services.users.change(own, changes, thief),
        "account": lambda: services.accounts.departures.ask(thief),
    }

    with pytest.raises(UserNotFoundError):
        await doing[what]()

    assert (await factors.totp.factors(own)).has_totp
    assert (await services.users.get(own)).email == "alice@example.test"


async def test_a_code_is_not_spent_on_the_app_that_came_in_its_place(
    identity: IdentityClient, services: Services, clock: MovableClock
) -> None:
    user = await enrolled(identity, clock)
    code = UntrustedProof(code=user.next_code(clock))

    async def replace_app(unit: Repositories) -> None:
        present = await unit.factors.get_totp(user_id)
        assert present is not None
        await unit.factors.put_totp(replace(present, last_step=0, created_at=clock()))

    found = await services.users.page("alice", 0, 1)
    user_id = found[0].id
    proof = await services.factors.proofs.judge(user_id, code)
    assert proof is not None
    await services.database.write(replace_app)

    assert not await services.database.write(proof.spend)
