from argparse import Namespace

from tests.support.identity import (
    KEYS,
    IdentityClient,
    MovableClock,
    give_signing_keys,
    identity_settings,
    random_key,
    running_identity,
)

from identity_service import commands

JWKS = "/.well-known/jwks.json"


async def kids(identity: IdentityClient) -> list[str]:
    return [key["kid"] for key in (await identity.send("GET", JWKS)).json["keys"]]


async def test_rotation_before_the_publication_is_over_says_what_to_do(
    database_url: str,
) -> None:
    settings, said = identity_settings(database_url), list[str]()
    await give_signing_keys(settings)

    status = await commands.rotate_signing_key(
        settings, Namespace(now=False), said.append
    )

    assert status == 1
    assert said[-1].endswith("rotate-signing-key --now")


async def test_emergency_rotation_reaches_a_process_that_serves(
    database_url: str,
) -> None:
    settings = identity_settings(database_url, IDENTITY_JWKS_MAX_AGE="1")
    said: list[str] = []
    async with running_identity(settings, clock=MovableClock()) as identity:
        pair = await identity.signed_in("alice")
        before = await kids(identity)
        assert (
            await commands.rotate_signing_key(
                settings, Namespace(now=True), said.append
            )
            == 0
        )
        successor = said[-1].removeprefix("signs now: ")
        while set(await kids(identity)) >= set(before):
            pass
        assert successor in await kids(identity)
        assert not await identity.is_accepted(pair["accessToken"])
        refreshed = (await identity.refresh(pair["refreshToken"])).json
        assert await identity.is_accepted(refreshed["accessToken"])


async def test_resealing_fails_as_long_as_a_key_does_not_open(
    database_url: str,
) -> None:
    old = KEYS["IDENTITY_KEY_ENCRYPTION_KEYS"]
    new = random_key()
    await give_signing_keys(identity_settings(database_url))
    said: list[str] = []

    lost = identity_settings(database_url, IDENTITY_KEY_ENCRYPTION_KEYS=new)
    assert await commands.reseal_signing_keys(lost, Namespace(), said.append) == 1
    assert said[0].endswith("does not open with the configured key-encryption keys")
    both = identity_settings(database_url, IDENTITY_KEY_ENCRYPTION_KEYS=f"{new},{old}")
    assert await commands.reseal_signing_keys(both, Namespace(), said.append) == 0
    assert said[-1] == "resealed: 2; all are sealed under the first key now"
