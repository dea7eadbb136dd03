"""Ceremonies that are not what they should be are refused, each and all."""

import json
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from tests.support.authenticators import (
    MAY_BE_BACKED_UP,
    PRESENT,
    VERIFIED,
    Authenticator,
    decoded,
)
from tests.support.factors import PASSKEYS, registered, use_options
from tests.support.identity import IdentityClient, MovableClock

from service_kit.tokens import base64url

SIGN_IN = "/api/auth/passkeys"
EVIL = "https://evil.example"


class Scene:
    """Alice, her passkey, and Mallory, who has one, too."""

    def __init__(self, identity: IdentityClient, clock: MovableClock) -> None:
        self.identity = identity
        self.clock = clock
        self.alice, self.mallory = Authenticator(), Authenticator()
        self.token = ""
        self.mallorys_token = ""

    async def set(self) -> None:
        self.token = (await self.identity.signed_in("alice"))["accessToken"]
        self.mallorys_token = (await self.identity.signed_in("mallory"))["accessToken"]
        for token, device in (
            (self.token, self.alice),
            (self.mallorys_token, self.mallory),
        ):
            assert (await registered(self.identity, token, device)).status == 201

    async def use(self, **changes: object) -> dict[str, Any]:
        """Return a use of Alice's passkey that is right, but for changed options."""
        options = {**await use_options(self.identity), **changes}
        return self.alice.get(options)


@pytest.fixture
async def scene(identity: IdentityClient, clock: MovableClock) -> Scene:
    made = Scene(identity, clock)
    await made.set()
    return made


async def right(scene: Scene) -> dict[str, Any]:
    return await scene.use()


async def wrong_origin(scene: Scene) -> dict[str, Any]:
    return scene.alice.get(await use_options(scene.identity), origin=EVIL)


async def origin_with_our_name_in_it(scene: Scene) -> dict[str, Any]:
    origin = "http://identity.test.evil.example"
    return scene.alice.get(await use_options(scene.identity), origin=origin)


async def wrong_rp_id(scene: Scene) -> dict[str, Any]:
    return await scene.use(rpId="evil.example")


async def challenge_of_nobody(scene: Scene) -> dict[str, Any]:
    return await scene.use(challenge=base64url.encode(b"c" * 64))


async def no_challenge(scene: Scene) -> dict[str, Any]:
    return await scene.use(challenge="")


async def challenge_for_registration(scene: Scene) -> dict[str, Any]:
    path = f"{PASSKEYS}/options"
    options = (await scene.identity.call("POST", path, scene.token)).json
    return await scene.use(challenge=options["challenge"])


async def challenge_of_a_second_step(scene: Scene) -> dict[str, Any]:
    asked = (await scene.identity.sign_in("alice")).json
    return await scene.use(challenge=asked["challenge"])


async def expired_challenge(scene: Scene) -> dict[str, Any]:
    credential = await scene.use()
    scene.clock.advance(timedelta(minutes=5))
    return credential


async def reused_challenge(scene: Scene) -> dict[str, Any]:
    options = await use_options(scene.identity)
    body = {"credential": scene.alice.get(options)}
    answer = await scene.identity.send("POST", SIGN_IN, json=body)
    assert answer.status == 200, answer.text
    return scene.alice.get(options)


async def counter_that_stands_still(scene: Scene) -> dict[str, Any]:
    body = {"credential": await scene.use()}
    assert (await scene.identity.send("POST", SIGN_IN, json=body)).status == 200
    scene.alice.device.sign_count -= 1
    return await scene.use()


async def counter_that_goes_back(scene: Scene) -> dict[str, Any]:
    scene.alice.device.sign_count = 9
    body = {"credential": await scene.use()}
    assert (await scene.identity.send("POST", SIGN_IN, json=body)).status == 200
    scene.alice.device.sign_count = 3
    return await scene.use()


async def anothers_credential_id(scene: Scene) -> dict[str, Any]:
    mallorys = scene.mallory.get(await use_options(scene.identity))
    return {**await scene.use(), "id": mallorys["id"], "rawId": mallorys["rawId"]}


async def anothers_user_handle(scene: Scene) -> dict[str, Any]:
    credential = await scene.use()
    handle = base64url.encode(scene.mallory.device.user_handle)
    return _with(credential, userHandle=handle)


async def no_user_handle(scene: Scene) -> dict[str, Any]:
    return _with(await scene.use(), userHandle=None)


async def signature_of_something_else(scene: Scene) -> dict[str, Any]:
    other = await scene.use()
    return _with(await scene.use(), signature=other["response"]["signature"])


async def nobody_present(scene: Scene) -> dict[str, Any]:
    scene.alice.flags = VERIFIED
    return await scene.use()


async def nobody_verified(scene: Scene) -> dict[str, Any]:
    scene.alice.flags = PRESENT
    return await scene.use()


async def key_that_may_suddenly_be_backed_up(scene: Scene) -> dict[str, Any]:
    scene.alice.flags |= MAY_BE_BACKED_UP
    return await scene.use()


async def registration_in_place_of_a_use(scene: Scene) -> dict[str, Any]:
    client_data = json.loads(decoded((await scene.use())["response"]["clientDataJSON"]))
    changed = json.dumps({**client_data, "type": "webauthn.create"}).encode()
    return _with(await scene.use(), clientDataJSON=base64url.encode(changed))


async def unknown_passkey(scene: Scene) -> dict[str, Any]:
    unknown = base64url.encode(b"u" * 32)
    return {**await scene.use(), "id": unknown, "rawId": unknown}


def _with(credential: dict[str, Any], **response: object) -> dict[str, Any]:
    return {**credential, "response": {**credential["response"], **response}}


HOSTILE_USES: list[Callable[[Scene], Awaitable[dict[str, Any]]]] = [
    wrong_origin,
    origin_with_our_name_in_it,
    wrong_rp_id,
    challenge_of_nobody,
    no_challenge,
    challenge_for_registration,
    challenge_of_a_second_step,
    expired_challenge,
    reused_challenge,
    counter_that_stands_still,
    counter_that_goes_back,
    anothers_credential_id,
    anothers_user_handle,
    no_user_handle,
    signature_of_something_else,
    nobody_present,
    nobody_verified,
    key_that_may_suddenly_be_backed_up,
    registration_in_place_of_a_use,
    unknown_passkey,
]


@pytest.mark.parametrize("hostile", HOSTILE_USES, ids=lambda each: each.__name__)
async def test_hostile_use_is_refused(
    scene: Scene, hostile: Callable[[Scene], Awaitable[dict[str, Any]]]
) -> None:
    body = {"credential": await hostile(scene)}

    refused = await scene.identity.send("POST", SIGN_IN, json=body)

    assert (refused.status, refused.json["code"]) == (401, "invalid_credentials")


async def test_use_that_is_right_is_accepted(scene: Scene) -> None:
    body = {"credential": await right(scene)}

    assert (await scene.identity.send("POST", SIGN_IN, json=body)).status == 200


async def test_somebody_elses_passkey_is_no_second_factor(scene: Scene) -> None:
    asked = (await scene.identity.sign_in("alice")).json
    credential = scene.mallory.get(await use_options(scene.identity))

    refused = await scene.identity.send(
        "POST",
        "/api/auth/signin/second-factor",
        json={"challenge": asked["challenge"], "credential": credential},
    )

    assert (refused.status, refused.json["code"]) == (401, "invalid_credentials")


REGISTRATIONS: dict[str, dict[str, object]] = {
    "wrong origin": {"origin": EVIL},
    "wrong rp id": {"rp": {"id": "evil.example", "name": "x"}},
    "challenge of nobody": {"challenge": base64url.encode(b"c" * 64)},
}


@pytest.mark.parametrize("name", REGISTRATIONS)
async def test_hostile_registration_is_refused(scene: Scene, name: str) -> None:
    change = dict(REGISTRATIONS[name])
    origin = change.pop("origin", "http://identity.test")
    path = f"{PASSKEYS}/options"
    options = (await scene.identity.call("POST", path, scene.token)).json
    credential = Authenticator().create({**options, **change}, origin=str(origin))

    refused = await scene.identity.call(
        "POST", PASSKEYS, scene.token, json={"credential": credential}
    )

    assert (refused.status, refused.json["code"]) == (400, "wrong_proof")


async def test_registration_counts_for_the_session_that_asked_for_it_once(
    scene: Scene,
) -> None:
    path = f"{PASSKEYS}/options"
    options = (await scene.identity.call("POST", path, scene.token)).json
    body = {"credential": Authenticator().create(options)}

    statuses = [
        (await scene.identity.call("POST", PASSKEYS, token, json=body)).status
        for token in (scene.mallorys_token, scene.token, scene.token)
    ]

    assert statuses == [400, 201, 400]


async def test_passkey_of_somebody_is_registered_for_nobody_else(scene: Scene) -> None:
    path = f"{PASSKEYS}/options"
    options = (await scene.identity.call("POST", path, scene.mallorys_token)).json
    thief = Authenticator()
    credential = thief.create(options)
    stolen = scene.alice.device.credential_id
    thief.device.credential_id = stolen
    attestation = decoded(credential["response"]["attestationObject"])
    made = decoded(credential["rawId"])
    credential = _with(
        credential,
        attestationObject=base64url.encode(attestation.replace(made, stolen)),
    )
    credential |= dict.fromkeys(("id", "rawId"), base64url.encode(stolen))

    refused = await scene.identity.call(
        "POST", PASSKEYS, scene.mallorys_token, json={"credential": credential}
    )

    assert (refused.status, refused.json["code"]) == (400, "wrong_proof")


@pytest.mark.parametrize("member", ["attestationObject", "clientDataJSON"])
async def test_members_that_take_long_to_read_are_not_read(
    scene: Scene, member: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A decimal fraction of 60 kB took a second and a half of everybody's time."""
    caplog.set_level("INFO")
    number = b"\xc4\x82\x00\xc2\x5a" + (60_000).to_bytes(4) + b"\xff" * 60_000
    path = f"{PASSKEYS}/options"
    options = (await scene.identity.call("POST", path, scene.token)).json
    credential = _with(
        Authenticator().create(options), **{member: base64url.encode(number)}
    )

    refused = await scene.identity.call(
        "POST", PASSKEYS, scene.token, json={"credential": credential}
    )

    assert (refused.status, refused.json["code"]) == (400, "wrong_proof")
    [line] = [each for each in caplog.records if each.message == "passkey_refused"]
    assert vars(line)["reason"] == "a member is too long"


@pytest.mark.parametrize(
    "credential",
    [
        {},
        {"id": "AAAA"},
        {"rawId": 7, "response": {}},
        {"rawId": "AAAA", "response": []},
        {"rawId": "AAAA", "response": {"clientDataJSON": "e30", "userHandle": 5}},
        {"rawId": "AAAA", "response": {"clientDataJSON": "W10"}},
        {
            "rawId": "AAAA",
            "response": {"clientDataJSON": "bm8", "attestationObject": 1},
        },
    ],
    ids=["empty", "id", "number", "list", "no challenge", "array", "no JSON"],
)
async def test_malformed_credential_is_refused_everywhere(
    scene: Scene, credential: dict[str, object]
) -> None:
    body = {"credential": credential}
    asked = (await scene.identity.sign_in("alice")).json["challenge"]

    answers = [
        await scene.identity.send("POST", SIGN_IN, json=body),
        await scene.identity.send(
            "POST", "/api/auth/signin/second-factor", json={**body, "challenge": asked}
        ),
        await scene.identity.call("POST", PASSKEYS, scene.token, json=body),
        await scene.identity.call(
            "POST", "/api/users/me/fresh", scene.token, json=body
        ),
    ]

    assert [each.status for each in answers] == [401, 401, 400, 400]
