"""Two processes of identity on one database, and many clients at the same moment."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

import pytest
from sqlalchemy import func, select
from tests.support.database import connected
from tests.support.identity import (
    OTHER_PASSWORD,
    PASSWORD,
    Answer,
    IdentityClient,
    create_admin,
    identity_settings,
    running_identity,
)

from identity_service.storage import tables

AT_ONCE: Final = 50
ROUNDS: Final = [
    pytest.param(3, id="3 rounds"),
    pytest.param(100, id="100 rounds", marks=[pytest.mark.faults]),
]
LOOK_ALIKES: Final = ["alice", "ALICE", "Álice", "alice", "аlice"]  # noqa: RUF001


@dataclass
class Replicas:
    """Two processes; a request goes to one or the other."""

    both: tuple[IdentityClient, IdentityClient]

    def __getitem__(self, turn: int) -> IdentityClient:
        return self.both[turn % 2]


@pytest.fixture
async def replicas(database_url: str) -> AsyncIterator[Replicas]:
    settings = identity_settings(database_url)
    async with running_identity(settings) as one, running_identity(settings) as other:
        yield Replicas((one, other))


async def statuses(answers: list[Awaitable[Answer]]) -> list[int]:
    return sorted(answer.status for answer in await asyncio.gather(*answers))


@pytest.mark.parametrize("rounds", ROUNDS)
async def test_p10_simultaneous_sign_ups_of_look_alikes_make_one_account(
    replicas: Replicas, database_url: str, rounds: int
) -> None:
    for number in range(rounds):
        names = [f"{name}{number}" for name in LOOK_ALIKES]
        answers = await asyncio.gather(
            *(
                replicas[turn].sign_up(
                    names[turn % len(names)], email=f"{number}-{turn}@example.test"
                )
                for turn in range(AT_ONCE)
            )
        )
        refusals = [answer for answer in answers if answer.status != 200]
        assert len(refusals) == AT_ONCE - 1
        assert {(answer.status, answer.message) for answer in refusals} == {
            (400, "Failed! Username is already in use!")
        }
    async with connected(database_url) as engine, engine.connect() as connection:
        for table in (tables.users, tables.user_roles):
            count = await connection.scalar(select(func.count()).select_from(table))
            assert count == rounds


async def test_simultaneous_sign_ups_with_one_email_make_one_account(
    replicas: Replicas,
) -> None:
    answers = await statuses(
        [
            replicas[turn].sign_up(f"user{turn}", email="one@example.test")
            for turn in range(AT_ONCE)
        ]
    )

    assert answers == [200] + [400] * (AT_ONCE - 1)


@pytest.mark.parametrize("rounds", ROUNDS)
async def test_r4_simultaneous_uses_of_a_refresh_token_never_fork(
    replicas: Replicas, rounds: int
) -> None:
    await replicas[0].sign_up("alice")
    for _ in range(rounds):
        token = (await replicas[0].sign_in("alice")).json["refreshToken"]
        answers = await asyncio.gather(
            *(replicas[turn].refresh(token) for turn in range(AT_ONCE))
        )

        assert {answer.status for answer in answers} == {200}
        successors = {answer.json["refreshToken"] for answer in answers}
        assert len(successors) == 1
        assert token not in successors


@pytest.mark.parametrize("rounds", ROUNDS)
async def test_r4_without_grace_one_use_alone_succeeds(
    database_url: str, rounds: int
) -> None:
    settings = identity_settings(database_url, IDENTITY_REFRESH_GRACE="0")
    async with running_identity(settings) as one, running_identity(settings) as other:
        replicas = Replicas((one, other))
        await one.sign_up("alice")
        for _ in range(rounds):
            token = (await one.sign_in("alice")).json["refreshToken"]
            answers = await statuses(
                [replicas[turn].refresh(token) for turn in range(AT_ONCE)]
            )
            assert answers == [200] + [403] * (AT_ONCE - 1)


async def test_s5_simultaneous_sign_ins_get_entries_of_their_own(
    replicas: Replicas, database_url: str
) -> None:
    await replicas[0].sign_up("alice")

    answers = await statuses([replicas[turn].sign_in("alice") for turn in range(100)])

    assert set(answers) <= {200, 503}
    async with connected(database_url) as engine, engine.connect() as connection:
        entries = select(func.count()).select_from(tables.access_tokens)
        assert await connection.scalar(entries) == answers.count(200)


async def end_by_sign_out(client: IdentityClient, pair: Any, _: str) -> Answer:  # noqa: ANN401
    return await client.sign_out(pair["refreshToken"])


async def end_by_disabling(client: IdentityClient, pair: Any, admin: str) -> Answer:  # noqa: ANN401
    path = f"/api/users/{pair['id']}"
    return await client.call("PATCH", path, admin, json={"disabled": True})


async def end_by_password_change(
    client: IdentityClient,
    pair: Any,  # noqa: ANN401
    _: str,
) -> Answer:
    other = (await client.sign_in(pair["username"])).json["accessToken"]
    return await client.call(
        "POST",
        "/api/users/me/password",
        other,
        json={"currentPassword": PASSWORD, "newPassword": OTHER_PASSWORD},
    )


async def end_by_deletion(client: IdentityClient, pair: Any, admin: str) -> Answer:  # noqa: ANN401
    return await client.call("DELETE", f"/api/users/{pair['id']}", admin)


End = Callable[[IdentityClient, Any, str], Awaitable[Answer]]


@pytest.mark.parametrize(
    "end",
    [end_by_sign_out, end_by_disabling, end_by_password_change, end_by_deletion],
    ids=["R6 sign-out", "R6 disabling", "R6 password change", "R6 deletion"],
)
@pytest.mark.parametrize("rounds", ROUNDS)
async def test_r6_no_token_outlives_a_refresh_that_races_the_end(
    replicas: Replicas,
    database_url: str,
    end: End,
    rounds: int,
) -> None:
    await create_admin(database_url)
    admin = (await replicas[0].sign_in("boss")).json["accessToken"]
    for number in range(rounds):
        pair = await replicas[0].signed_in(f"alice{number}")

        ended, *refreshed = await asyncio.gather(
            end(replicas[1], pair, admin),
            *(replicas[turn].refresh(pair["refreshToken"]) for turn in range(6)),
        )

        assert ended.status == 200
        assert {answer.status for answer in refreshed} <= {200, 403}
        pairs = [answer.json for answer in refreshed if answer.status == 200]
        for each in [pair, *pairs]:
            assert not await replicas[0].is_accepted(each["accessToken"])
            assert (await replicas[0].refresh(each["refreshToken"])).status == 403


async def test_r7_no_token_keeps_a_role_that_was_taken_away(
    replicas: Replicas, database_url: str
) -> None:
    await create_admin(database_url)
    await create_admin(database_url, "chief")
    admin = (await replicas[0].sign_in("boss")).json["accessToken"]
    chief = (await replicas[0].sign_in("chief")).json
    path = f"/api/users/{chief['id']}/roles"

    demoted, *refreshed = await asyncio.gather(
        replicas[1].call("PUT", path, admin, json={"roles": ["user"]}),
        *(replicas[turn].refresh(chief["refreshToken"]) for turn in range(6)),
    )

    assert demoted.status == 200
    assert {answer.status for answer in refreshed} == {200}
    for answer in refreshed:
        token = answer.json["accessToken"]
        seen = await replicas[0].call("GET", "/api/users", token)
        assert seen.status in {401, 403}
