"""Authenticator apps and recovery codes, from enrolment to the lost phone."""

import asyncio
from datetime import timedelta

import pytest
from tests.support.factors import (
    STEP,
    TOTP,
    challenge_of,
    code_at,
    enrolled,
    second_step,
)
from tests.support.identity import (
    PASSWORD,
    IdentityClient,
    MovableClock,
    create_admin,
    identity_settings,
    running_identity,
)
from tests.support.qr_codes import read_rows
from tests.support.tokens import claims_of

from identity_service.handlers.factor_models import TotpBody


async def test_sign_in_takes_password_and_code(
    identity: IdentityClient, clock: MovableClock
) -> None:
    user = await enrolled(identity, clock)

    first = await identity.sign_in("alice")
    assert first.status == 401
    assert first.json["code"] == "second_factor_required"
    assert first.json["factors"] == ["totp", "recovery_code"]
    assert first.json["accessToken"] is None
    assert "second factor" in first.message

    code = user.next_code(clock)
    second = await second_step(identity, first.json["challenge"], code=code)

    assert second.status == 200, second.text
    assert second.json["username"] == "alice"
    claims = claims_of(second.json["accessToken"])
    assert (claims["amr"], claims["acr"]) == (["mfa", "otp", "pwd"], "aal2")
    assert (await identity.refresh(second.json["refreshToken"])).status == 200


@pytest.mark.parametrize("name", ["alice", "Zoë & the <others>", "名" * 20])
async def test_the_qr_code_says_what_the_uri_says(
    identity: IdentityClient, name: str
) -> None:
    await identity.sign_up(name, email="alice@example.test")
    pair = (await identity.sign_in(name)).json
    new = (await identity.call("POST", TOTP, pair["accessToken"])).json

    assert read_rows(new["qrCode"]) == new["uri"]


async def test_enrolment_counts_for_the_session_that_did_it(
    identity: IdentityClient, clock: MovableClock
) -> None:
    pair = await identity.signed_in("alice")
    secret = (await identity.call("POST", TOTP, pair["accessToken"])).json["secret"]
    body = {"code": code_at(secret, clock())}
    await identity.call("POST", f"{TOTP}/confirm", pair["accessToken"], json=body)

    refreshed = (await identity.refresh(pair["refreshToken"])).json

    assert claims_of(refreshed["accessToken"])["acr"] == "aal2"


async def test_first_factor_ends_the_sessions_that_began_without(
    identity: IdentityClient, clock: MovableClock
) -> None:
    here = await identity.signed_in("alice")
    there = (await identity.sign_in("alice")).json
    token = here["accessToken"]
    secret = (await identity.call("POST", TOTP, token)).json["secret"]
    assert await identity.is_accepted(there["accessToken"])

    body = {"code": code_at(secret, clock())}
    await identity.call("POST", f"{TOTP}/confirm", token, json=body)

    assert not await identity.is_accepted(there["accessToken"])
    assert (await identity.refresh(there["refreshToken"])).status == 403
    assert await identity.is_accepted(token)


async def test_unconfirmed_app_is_asked_of_nobody(
    identity: IdentityClient, clock: MovableClock
) -> None:
    token = (await identity.signed_in("alice"))["accessToken"]
    begun = (await identity.call("POST", TOTP, token)).json
    assert begun["uri"].startswith("otpauth://totp/identity.test:alice?secret=")
    wrong = code_at(begun["secret"], clock() - timedelta(hours=1))
    refused = await identity.call(
        "POST", f"{TOTP}/confirm", token, json={"code": wrong}
    )
    assert (refused.status, refused.json["code"]) == (400, "wrong_proof")

    assert (await identity.sign_in("alice")).status == 200


@pytest.mark.parametrize(
    ("drift", "status"), [(-2, 401), (-1, 200), (1, 200), (2, 401)]
)
async def test_phones_clock_may_be_one_step_off(
    identity: IdentityClient, clock: MovableClock, drift: int, status: int
) -> None:
    user = await enrolled(identity, clock)
    clock.advance(10 * STEP)
    challenge = await challenge_of(identity, "alice")

    code = code_at(user.secret, clock() + drift * STEP)

    assert (await second_step(identity, challenge, code=code)).status == status


async def test_code_serves_once_however_many_use_it_at_once(
    identity: IdentityClient, clock: MovableClock
) -> None:
    user = await enrolled(identity, clock)
    challenges = [await challenge_of(identity, "alice") for _ in range(5)]
    code = user.next_code(clock)

    answers = await asyncio.gather(
        *(second_step(identity, each, code=code) for each in challenges)
    )
    again = await second_step(
        identity, await challenge_of(identity, "alice"), code=code
    )

    assert sorted(each.status for each in answers) == [200, 401, 401, 401, 401]
    assert again.status == 401


async def test_challenge_serves_once_and_its_second_use_is_recorded(
    identity: IdentityClient, clock: MovableClock, admin: str
) -> None:
    user = await enrolled(identity, clock)
    challenge = await challenge_of(identity, "alice")

    first, again = [
        await second_step(identity, challenge, code=code)
        for code in user.recovery_codes[:2]
    ]

    assert (first.status, again.status) == (200, 401)
    (event,) = await identity.events(admin, action="session.sign_in_refused")
    assert event["subject"] == first.json["id"]
    assert event["details"] == {"methods": "mfa otp pwd"}


async def test_code_of_enrolment_is_spent(
    identity: IdentityClient, clock: MovableClock
) -> None:
    user = await enrolled(identity, clock)
    challenge = await challenge_of(identity, "alice")

    again = await second_step(identity, challenge, code=user.first_code)

    assert again.status == 401


async def test_recovery_code_serves_once(
    identity: IdentityClient, clock: MovableClock
) -> None:
    user = await enrolled(identity, clock)
    assert len(set(user.recovery_codes)) == 10
    code = user.recovery_codes[3]

    typed = f" {code.upper().replace('-', ' ')} "
    first = await second_step(
        identity, await challenge_of(identity, "alice"), code=typed
    )
    again = await second_step(
        identity, await challenge_of(identity, "alice"), code=code
    )

    assert (first.status, again.status) == (200, 401)
    token = first.json["accessToken"]
    left = (await identity.call("GET", "/api/users/me/factors", token)).json
    assert left == {"totp": True, "passkeys": 0, "recoveryCodesLeft": 9}


async def test_new_recovery_codes_replace_the_old_ones(
    identity: IdentityClient, clock: MovableClock
) -> None:
    user = await enrolled(identity, clock)
    old, used = user.recovery_codes[:2]
    signed_in = await second_step(
        identity, await challenge_of(identity, "alice"), code=used
    )
    token = signed_in.json["accessToken"]

    made = await identity.call("POST", "/api/users/me/recovery-codes", token)

    assert len(made.json["recoveryCodes"]) == 10
    for code, status in ((old, 401), (made.json["recoveryCodes"][0], 200)):
        challenge = await challenge_of(identity, "alice")
        assert (await second_step(identity, challenge, code=code)).status == status


async def test_removed_app_is_asked_for_no_more(
    identity: IdentityClient, clock: MovableClock
) -> None:
    user = await enrolled(identity, clock)
    signed_in = await second_step(
        identity, await challenge_of(identity, "alice"), code=user.next_code(clock)
    )
    token = signed_in.json["accessToken"]
    present = await identity.call("POST", TOTP, token)
    assert (present.status, present.json["code"]) == (409, "totp_present")

    assert (await identity.call("DELETE", TOTP, token)).status == 200

    assert (await identity.sign_in("alice")).status == 200
    begun = await identity.call("POST", TOTP, token)
    assert begun.status == 200
    again = await identity.call("DELETE", TOTP, token)
    assert (again.status, again.json["code"]) == (404, "factor_not_found")


async def test_password_change_between_the_steps_spoils_the_challenge(
    identity: IdentityClient, clock: MovableClock
) -> None:
    user = await enrolled(identity, clock)
    signed_in = await second_step(
        identity, await challenge_of(identity, "alice"), code=user.next_code(clock)
    )
    challenge = await challenge_of(identity, "alice")
    body = {"currentPassword": PASSWORD, "newPassword": "another long enough phrase"}
    token = signed_in.json["accessToken"]
    await identity.call("POST", "/api/users/me/password", token, json=body)

    late = await second_step(identity, challenge, code=user.next_code(clock))

    assert (late.status, late.json["code"]) == (401, "invalid_credentials")


async def test_challenge_serves_for_one_session_within_five_minutes(
    identity: IdentityClient, clock: MovableClock
) -> None:
    user = await enrolled(identity, clock)
    challenge = await challenge_of(identity, "alice")
    answers = [
        await second_step(identity, challenge, code=user.next_code(clock))
        for _ in range(2)
    ]
    assert [each.status for each in answers] == [200, 401]

    late = await challenge_of(identity, "alice")
    clock.advance(timedelta(minutes=5))
    refused = await second_step(identity, late, code=user.next_code(clock))

    assert refused.status == 401


@pytest.mark.parametrize(
    ("body", "status"),
    [
        pytest.param({"challenge": "junk", "code": "123456"}, 401, id="junk"),
        pytest.param({"challenge": "A" * 200, "code": "123456"}, 401, id="forged"),
        pytest.param({"challenge": "A" * 3000, "code": "123456"}, 400, id="long"),
        pytest.param({"challenge": "AAAA"}, 400, id="no proof"),
        pytest.param(
            {"challenge": "AAAA", "code": "1", "credential": {}}, 400, id="two proofs"
        ),
        pytest.param({"challenge": "AAAA", "code": 123456}, 400, id="a number"),
        pytest.param({"code": "123456"}, 400, id="no challenge"),
    ],
)
async def test_malformed_second_step_is_refused(
    identity: IdentityClient, body: dict[str, object], status: int
) -> None:
    answer = await identity.send("POST", "/api/auth/signin/second-factor", json=body)

    assert answer.status == status, answer.text


@pytest.mark.parametrize(
    "code",
    ["", "12345", "1234567", "\uff11" * 6, "abcdef", "aaaa-bbbb-cccc-ddd1"],
    ids=["none", "short", "long", "wide digits", "letters", "not base32"],
)
async def test_odd_code_is_a_wrong_one(
    identity: IdentityClient, clock: MovableClock, code: str
) -> None:
    await enrolled(identity, clock)
    challenge = await challenge_of(identity, "alice")

    assert (await second_step(identity, challenge, code=code)).status == 401


async def test_factor_makes_a_fresh_check(
    identity: IdentityClient, clock: MovableClock
) -> None:
    user = await enrolled(identity, clock)
    signed_in = await second_step(
        identity, await challenge_of(identity, "alice"), code=user.next_code(clock)
    )
    token = signed_in.json["accessToken"]
    clock.advance(timedelta(minutes=11))
    body = {"email": "new@example.test"}
    refused = await identity.call("PATCH", "/api/users/me", token, json=body)
    assert refused.json["code"] == "fresh_check_required"

    fresh, code = "/api/users/me/fresh", user.next_code(clock)
    assert (
        await identity.call("POST", fresh, token, json={"code": code})
    ).status == 200
    again = await identity.call("POST", fresh, token, json={"code": code})

    assert (again.status, again.json["code"]) == (400, "wrong_proof")
    assert (
        await identity.call("PATCH", "/api/users/me", token, json=body)
    ).status == 200


async def test_each_use_of_a_spent_code_for_a_fresh_check_is_recorded(
    identity: IdentityClient, clock: MovableClock, admin: str
) -> None:
    user = await enrolled(identity, clock)
    challenge = await challenge_of(identity, "alice")
    signed_in = await second_step(identity, challenge, code=user.next_code(clock))
    token, body = signed_in.json["accessToken"], {"code": user.next_code(clock)}

    answers = await asyncio.gather(
        *(
            identity.call("POST", "/api/users/me/fresh", token, json=body)
            for _ in range(4)
        )
    )

    assert sorted(each.status for each in answers) == [200, 400, 400, 400]
    refused = await identity.events(admin, action="session.fresh_check_refused")
    assert len(refused) == 3


async def test_guarded_role_counts_with_two_factors_only(
    database_url: str, clock: MovableClock
) -> None:
    settings = identity_settings(database_url, IDENTITY_SECOND_FACTOR_ROLES="admin")
    async with running_identity(settings, clock=clock) as identity:
        await create_admin(database_url)
        weak = (await identity.sign_in("boss")).json
        assert weak["roles"] == ["ROLE_USER"]
        assert weak["secondFactorEnrolmentRequired"] is True
        token = weak["accessToken"]
        assert (await identity.call("GET", "/api/users", token)).status == 403

        secret = (await identity.call("POST", TOTP, token)).json["secret"]
        body = {"code": code_at(secret, clock())}
        await identity.call("POST", f"{TOTP}/confirm", token, json=body)
        strong = (await identity.refresh(weak["refreshToken"])).json["accessToken"]

        assert claims_of(strong)["roles"] == ["admin", "user"]
        assert (await identity.call("GET", "/api/users", strong)).status == 200


async def test_a_guarded_role_goes_with_the_last_factor(
    database_url: str, clock: MovableClock
) -> None:
    settings = identity_settings(database_url, IDENTITY_SECOND_FACTOR_ROLES="admin")
    async with running_identity(settings, clock=clock) as identity:
        await create_admin(database_url)
        session = (await identity.sign_in("boss")).json
        token = session["accessToken"]
        secret = (await identity.call("POST", TOTP, token)).json["secret"]
        body = {"code": code_at(secret, clock())}
        await identity.call("POST", f"{TOTP}/confirm", token, json=body)
        session = (await identity.refresh(session["refreshToken"])).json
        assert claims_of(session["accessToken"])["roles"] == ["admin", "user"]

        removed = await identity.call("DELETE", TOTP, session["accessToken"])

        assert removed.status == 200
        claims = claims_of(
            (await identity.refresh(session["refreshToken"])).json["accessToken"]
        )
        assert (claims["roles"], claims["amr"]) == (["user"], ["pwd"])


async def test_the_longest_name_fits_what_an_app_reads(
    identity: IdentityClient,
) -> None:
    name = "\U00020000" * 64
    assert (await identity.sign_up(name, email="alice@example.test")).status == 200
    token = (await identity.sign_in(name)).json["accessToken"]
    begun = await identity.call("POST", TOTP, token)
    assert begun.status == 200
    schema = TotpBody.model_json_schema(by_alias=True)["properties"]
    assert 512 < len(begun.json["uri"]) <= schema["uri"]["maxLength"]
    assert len(begun.json["qrCode"]) <= schema["qrCode"]["maxItems"]
