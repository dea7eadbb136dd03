"""Nobody learns from sign-in who exists, by the clock neither."""

from typing import Final

import pytest
from tests.support.database import TIMED_BACKENDS
from tests.support.identity import (
    PASSWORD,
    IdentityClient,
    create_admin,
    identity_settings,
    running_identity,
)
from tests.support.timing import interleaved_medians, spread

TRIES: Final = 67
"""Of each of three cases: 201 in all."""

MEASUREMENTS: Final = 3
"""A true difference shows in each of them, other load on the machine in some."""

INDISTINGUISHABLE: Final = 0.05


@pytest.mark.quiet
@pytest.mark.timeout(400)
@pytest.mark.parametrize("database_url", TIMED_BACKENDS, indirect=True)
async def test_p7_refusals_take_the_same_time(database_url: str) -> None:
    settings = identity_settings(database_url, IDENTITY_BCRYPT_COST="10")
    async with running_identity(settings) as identity:
        await identity.sign_up("alice")
        await disabled(identity, database_url, "dora")
        cases = {
            "unknown": lambda: identity.sign_in("nobody"),
            "wrong password": lambda: identity.sign_in("alice", "not the one"),
            "disabled": lambda: identity.sign_in("dora"),
        }

        differences: list[float] = []
        while len(differences) < MEASUREMENTS:
            medians = await interleaved_medians(cases, tries=TRIES)
            differences.append(spread(medians))
            if differences[-1] < INDISTINGUISHABLE:
                return
    pytest.fail(f"the cases can be told apart, each time: {differences}")


async def disabled(identity: IdentityClient, database_url: str, username: str) -> None:
    await create_admin(database_url)
    admin = (await identity.sign_in("boss")).json["accessToken"]
    user = (await identity.signed_in(username))["id"]
    answer = await identity.call(
        "PATCH", f"/api/users/{user}", admin, json={"disabled": True}
    )
    assert answer.json["disabled"] is True
    assert (await identity.sign_in(username, PASSWORD)).status == 401
