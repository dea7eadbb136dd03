"""What a guesser learns of passwords, codes and accounts: nothing."""

from collections.abc import Mapping

import pytest
from tests.support.database import TIMED_BACKENDS
from tests.support.factors import challenge_of, enrolled, second_step
from tests.support.identity import (
    Answer,
    IdentityClient,
    MovableClock,
    identity_settings,
    running_identity,
)
from tests.support.timing import assert_alike

WRONG = "not the password"


def shown(answer: Answer) -> tuple[int, int, Mapping[str, object]]:
    """Return what an observer sees of a response, but for what is random in it."""
    told = {
        name: value
        for name, value in answer.json.items()
        if name not in {"challenge", "instance"}
    }
    return answer.status, len(answer.text), told


async def test_first_step_does_not_say_whether_the_password_was_right(
    identity: IdentityClient, clock: MovableClock
) -> None:
    await enrolled(identity, clock)

    right, wrong = (
        await identity.sign_in("alice"),
        await identity.sign_in("alice", WRONG),
    )

    assert shown(right) == shown(wrong)
    assert right.json["challenge"] != wrong.json["challenge"]


async def test_second_step_does_not_say_which_of_the_two_was_wrong(
    identity: IdentityClient, clock: MovableClock
) -> None:
    user = await enrolled(identity, clock)
    answers = []
    for options in ({}, {"password": WRONG}):
        challenge = await challenge_of(identity, "alice", **options)
        answers.append(await second_step(identity, challenge, code="000000"))
    challenge = await challenge_of(identity, "alice", password=WRONG)
    code = user.next_code(clock)
    answers.append(await second_step(identity, challenge, code=code))

    unknown = await identity.sign_in("nobody", WRONG)
    assert [shown(each) for each in answers] == 3 * [shown(unknown)]
    challenge = await challenge_of(identity, "alice")
    assert (await second_step(identity, challenge, code=code)).status == 200, (
        "a code is not spent by whoever lacks the password"
    )


async def test_where_factors_are_hidden_everybody_is_asked_for_one(
    database_url: str, clock: MovableClock
) -> None:
    settings = identity_settings(database_url, IDENTITY_HIDE_SECOND_FACTORS="true")
    async with running_identity(settings, clock=clock) as identity:
        user = await enrolled(identity, clock)
        await identity.sign_up("bobby")
        asked = [
            await identity.sign_in(name, password)
            for name, password in (
                ("alice", "correct horse battery staple"),
                ("alice", WRONG),
                ("bobby", WRONG),
                ("nobody of any length", WRONG),
                ("alice@example.test", WRONG),
                ("nobody@elsewhere.example.test", WRONG),
                (100 * "\N{CJK UNIFIED IDEOGRAPH-4E16}", WRONG),
            )
        ]
        assert [shown(each) for each in asked] == 7 * [shown(asked[0])]
        statuses = [
            (
                await second_step(
                    identity, each.json["challenge"], code=user.recovery_codes[0]
                )
            ).status
            for each in asked
        ]
        assert statuses == [200, *6 * [401]]
        assert (await identity.sign_in("bobby")).status == 200


async def test_where_addresses_are_verified_a_factor_tells_of_no_address(
    database_url: str, clock: MovableClock
) -> None:
    async with running_identity(identity_settings(database_url), clock=clock) as open_:
        await enrolled(open_, clock)
        await open_.sign_up("bobby")
    settings = identity_settings(
        database_url,
        IDENTITY_EMAIL_VERIFICATION="required",
        IDENTITY_MAIL_URL="smtp-plain://127.0.0.1:9",
    )
    async with running_identity(settings, clock=clock) as identity:
        asked = [
            await identity.sign_in(f"{name}@example.test", WRONG)
            for name in ("alice", "bobby", "nobody")
        ]
        by_name = [await identity.sign_in(name, WRONG) for name in ("alice", "nobody")]
        let_in = await identity.sign_in("bobby@example.test")

    assert [shown(each) for each in asked] == 3 * [shown(asked[0])]
    assert [each.json["code"] for each in by_name] == [
        "second_factor_required",
        "invalid_credentials",
    ]
    assert let_in.status == 200


async def test_guesses_of_every_kind_count_together(
    database_url: str, clock: MovableClock
) -> None:
    settings = identity_settings(database_url)
    async with running_identity(settings, clock=clock) as unthrottled:
        await enrolled(unthrottled, clock)
    settings = identity_settings(database_url, IDENTITY_THROTTLE="on")
    async with running_identity(settings, clock=clock) as identity:
        guesses, challenge = 0, ""
        kinds = (
            lambda: identity.sign_in("alice", WRONG),
            lambda: second_step(identity, challenge, code="000000"),
            lambda: second_step(identity, challenge, code="aaaa-bbbb-cccc-dddd"),
        )
        for number in range(100):
            answer = await kinds[number % len(kinds)]()
            challenge = answer.json.get("challenge", challenge)
            guesses += answer.status == 401

        assert guesses == 10, "as many as there may be in a minute, of all kinds"
        assert (await identity.sign_in("alice")).status == 429


async def test_sign_ins_with_two_steps_are_not_taken_for_guesses(
    database_url: str, clock: MovableClock
) -> None:
    settings = identity_settings(database_url, IDENTITY_THROTTLE="on")
    async with running_identity(settings, clock=clock) as identity:
        user = await enrolled(identity, clock)
        for _ in range(15):
            challenge = await challenge_of(identity, "alice")
            code = user.next_code(clock)
            answer = await second_step(identity, challenge, code=code)
            assert answer.status == 200, answer.text


@pytest.mark.quiet
@pytest.mark.timeout(400)
@pytest.mark.parametrize("database_url", TIMED_BACKENDS, indirect=True)
async def test_p7_steps_take_the_same_time(
    database_url: str, clock: MovableClock
) -> None:
    settings = identity_settings(database_url, IDENTITY_BCRYPT_COST="10")
    async with running_identity(settings, clock=clock) as identity:
        await enrolled(identity, clock)
        await assert_alike(
            {
                "right": lambda: identity.sign_in("alice"),
                "wrong": lambda: identity.sign_in("alice", WRONG),
                "nobody": lambda: identity.sign_in("nobody", WRONG),
            },
            tries=40,
        )
        right = await challenge_of(identity, "alice")
        wrong = await challenge_of(identity, "alice", password=WRONG)
        await assert_alike(
            {
                "right password": lambda: second_step(identity, right, code="000000"),
                "wrong password": lambda: second_step(identity, wrong, code="000000"),
            },
            tries=120,
        )
