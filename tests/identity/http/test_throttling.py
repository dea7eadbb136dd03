"""Throttling, as clients meet it."""

import pytest
from tests.support.identity import Answer, IdentityClient, identity_settings

from identity_service.settings import Settings


@pytest.fixture
def settings(database_url: str) -> Settings:
    return identity_settings(database_url, IDENTITY_THROTTLE="on")


def is_throttled(answer: Answer) -> bool:
    return answer.status == 429 and int(answer.headers["Retry-After"]) >= 1


async def test_p14_a_flood_of_sign_ups_from_one_address_is_throttled(
    identity: IdentityClient,
) -> None:
    await identity.sign_up("alice")
    answers = [await identity.sign_up("alice") for _ in range(60)]

    assert answers[0].status == 400
    assert is_throttled(answers[-1])
    wait = answers[-1].headers["Retry-After"]
    assert answers[-1].message.startswith("Too many attempts. Please try again in ")
    assert f"in {wait} seconds." in answers[-1].message


async def test_p8_guesses_are_throttled_whatever_address_they_claim(
    identity: IdentityClient,
) -> None:
    await identity.sign_up("alice")

    async def guess(number: int) -> Answer:
        headers = {"X-Forwarded-For": f"203.0.113.{number}"}
        return await identity.sign_in("alice", "a wrong guess", headers=headers)

    guesses = [await guess(number) for number in range(20)]

    assert guesses[0].status == 401
    assert is_throttled(guesses[-1])
    assert is_throttled(await guess(21))


TWINS = [
    *("VICTIM1", "vIctim1", "víctim1", "vi\u0301ctim1", "v\u0131ctim1"),
    *("\uff56\uff49\uff43\uff54\uff49\uff4d1", "\u0475ictim1", "victim\uff11"),
    *(" victim1", "victim1  ", "\tvictim1\n", "victim1\u3000"),
]


@pytest.mark.parametrize("victim_exists", [True, False])
async def test_p8_spellings_of_a_name_count_as_one_whether_it_exists_or_not(
    identity: IdentityClient, *, victim_exists: bool
) -> None:
    await identity.sign_up("victim1" if victim_exists else "victim9")
    headers = {"X-Forwarded-For": "203.0.113.5"}
    for _ in range(10):
        answer = await identity.sign_in("victim1", "a guess", headers=headers)
        assert answer.status == 401

    answers = [
        await identity.sign_in(twin, "a guess", headers=headers)
        for twin in ["victim1", *TWINS]
    ]

    assert [answer.status for answer in answers] == [429] * len(answers)
    assert (await identity.sign_in("victim2", "a guess", headers=headers)).status == 401


@pytest.mark.parametrize("victim_exists", [True, False])
async def test_p8_spellings_of_an_address_count_as_one_whether_it_exists_or_not(
    identity: IdentityClient, *, victim_exists: bool
) -> None:
    await identity.sign_up("victim1" if victim_exists else "victim9")
    headers = {"X-Forwarded-For": "203.0.113.5"}
    for _ in range(10):
        login = "victim1@example.test"
        assert (await identity.sign_in(login, "a guess", headers=headers)).status == 401

    twins = "VICTIM1@example.test", "victim1@example\u3002test", "victim1@EXAMPLE.test"
    answers = [await identity.sign_in(twin, "a", headers=headers) for twin in twins]

    assert [answer.status for answer in answers] == [429] * len(answers)


async def test_p8_guesses_do_not_lock_out_a_device_that_signed_in_before(
    identity: IdentityClient,
) -> None:
    await identity.sign_up("alice")
    home, elsewhere = (
        {"X-Forwarded-For": address} for address in ("192.0.2.7", "203.0.113.9")
    )
    await identity.sign_in("alice", headers=home)
    for _ in range(20):
        await identity.sign_in("alice", "a wrong guess", headers=elsewhere)

    assert is_throttled(await identity.sign_in("alice", headers=elsewhere))
    assert (await identity.sign_in("alice", headers=home)).status == 200


async def test_p8_the_present_password_cannot_be_guessed_by_a_stolen_token(
    identity: IdentityClient,
) -> None:
    token = (await identity.signed_in("alice"))["accessToken"]
    body = {"currentPassword": "a wrong guess", "newPassword": "a new long password"}

    answers = [
        await identity.call("POST", "/api/users/me/password", token, json=body)
        for _ in range(15)
    ]

    assert answers[0].status == 400
    assert is_throttled(answers[-1])


@pytest.mark.parametrize(
    ("home", "later"),
    [
        ("2001:db8:1:2::7", "2001:db8:1:2:aaaa:bbbb:cccc:dddd"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("2001:db8::7", "2001:db8::1:2:3:4"),
        ("2001:db8:1:0:5:0:0:0", "2001:db8:1::9"),
        ("2001:db8:1::9", "2001:db8:1:0:5::"),
    ],
)
async def test_p8_the_next_address_of_a_known_network_is_known(
    identity: IdentityClient, home: str, later: str
) -> None:
    def source(address: str) -> dict[str, str]:
        return {"X-Forwarded-For": address}

    await identity.sign_up("alice")
    await identity.sign_in("alice", headers=source(home))
    for _ in range(12):
        await identity.sign_in("alice", "a guess", headers=source("203.0.113.9"))

    elsewhere = await identity.sign_in("alice", headers=source("2001:db8:1:3::7"))
    assert is_throttled(elsewhere)
    assert (await identity.sign_in("alice", headers=source(later))).status == 200


async def test_exports_of_ones_own_data_are_limited(identity: IdentityClient) -> None:
    alice = (await identity.signed_in("alice"))["accessToken"]
    bob = (await identity.signed_in("bob"))["accessToken"]
    path = "/api/users/me/export"

    answers = [await identity.call("GET", path, alice) for _ in range(6)]

    assert [answer.status for answer in answers[:5]] == [200] * 5
    assert is_throttled(answers[5])
    assert (await identity.call("GET", path, bob)).status == 200


CHANGES = [
    ("PATCH", "/api/users/me", {"username": "alice"}),
    ("POST", "/api/users/me/totp", None),
    ("DELETE", "/api/users/me/totp", None),
    ("POST", "/api/users/me/recovery-codes", None),
    ("POST", "/api/users/me/passkeys/options", None),
    ("POST", "/api/users/me/passkeys", {"name": "a", "credential": {"id": "A" * 22}}),
    ("PATCH", f"/api/users/me/passkeys/{'A' * 43}", {"name": "a"}),
    ("DELETE", f"/api/users/me/passkeys/{'A' * 43}", None),
]


async def test_changes_of_ones_own_account_are_limited_together(
    identity: IdentityClient,
) -> None:
    alice = (await identity.signed_in("alice"))["accessToken"]

    async def change(number: int) -> Answer:
        method, path, body = CHANGES[number % len(CHANGES)]
        return await identity.call(method, path, alice, json=body)

    answers = [await change(number) for number in range(20)]
    refused = [await change(number) for number in range(len(CHANGES))]

    assert 429 not in {answer.status for answer in answers}
    assert all(map(is_throttled, refused)), [answer.status for answer in refused]
