import re

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
from tests.support.identity import (
    IdentityClient,
    identity_settings,
    running_identity,
)

from service_kit.tokens import base64url, thumbprint

JWKS = "/.well-known/jwks.json"


async def test_k1_every_key_is_public_and_for_rs256_signatures_alone(
    identity: IdentityClient,
) -> None:
    answer = await identity.send("GET", JWKS)

    assert answer.status == 200
    assert answer.headers["Content-Type"] == "application/jwk-set+json"
    assert answer.json["keys"]
    for key in answer.json["keys"]:
        assert set(key) == {"kty", "use", "alg", "kid", "n", "e"}
        assert (key["kty"], key["use"], key["alg"]) == ("RSA", "sig", "RS256")
        assert key["e"] == "AQAB"
        assert re.fullmatch(r"[A-Za-z0-9_-]+", key["n"])
        modulus = base64url.decode(key["n"])
        assert modulus[0] != 0
        assert len(modulus) == 3072 // 8


async def test_k2_every_kid_is_the_thumbprint(identity: IdentityClient) -> None:
    answer = await identity.send("GET", JWKS)

    for key in answer.json["keys"]:
        modulus = int.from_bytes(base64url.decode(key["n"]))
        assert key["kid"] == thumbprint(RSAPublicNumbers(65537, modulus).public_key())


async def test_k3_jwks_is_cacheable_for_the_setting_and_revalidated_by_etag(
    identity: IdentityClient,
) -> None:
    answer = await identity.send("GET", JWKS)
    assert answer.headers["Cache-Control"] == "public, max-age=300"

    for sent in (answer.headers["ETag"], f'W/"x", {answer.headers["ETag"]}', "*"):
        again = await identity.send("GET", JWKS, headers={"If-None-Match": sent})
        assert (again.status, again.text) == (304, "")
        assert again.headers["ETag"] == answer.headers["ETag"]
        assert again.headers["Cache-Control"] == "public, max-age=300"
    changed = await identity.send("GET", JWKS, headers={"If-None-Match": '"other"'})
    assert changed.status == 200


async def test_k3_replicas_serve_the_same_bytes(database_url: str) -> None:
    settings = identity_settings(database_url, IDENTITY_JWKS_MAX_AGE="1")
    async with (
        running_identity(settings) as one,
        running_identity(settings) as other,
    ):
        answers = [await one.send("GET", JWKS), await other.send("GET", JWKS)]
        while any(len(answer.json["keys"]) < 2 for answer in answers):
            answers = [await one.send("GET", JWKS), await other.send("GET", JWKS)]

    assert answers[0].text == answers[1].text
    assert answers[0].headers["ETag"] == answers[1].headers["ETag"]


async def test_k3_jwks_asks_for_nothing_and_changes_nothing(
    identity: IdentityClient,
) -> None:
    head = await identity.send("HEAD", JWKS)
    assert (head.status, head.text) == (200, "")
    assert (await identity.send("POST", JWKS)).status == 405
    bad = await identity.send("GET", JWKS, headers={"Authorization": "Bearer x"})
    assert bad.status == 200
