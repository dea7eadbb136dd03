import time
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from sqlalchemy import select, update
from tests.identity.signing_keys.processes import process, sealer
from tests.support.database import connected
from tests.support.manual_clock import ManualClock
from tests.support.tokens import private_key

from identity_service.domain.errors import SigningKeyUnavailableError
from identity_service.domain.signing_keys import in_slot
from identity_service.security.key_material import (
    SigningKey,
    generate_signing_key,
    open_signing_key,
    published_jwk,
    read_published_jwk,
    seal_signing_key,
)
from identity_service.security.keyrings import SealBrokenError
from identity_service.storage.tables import signing_keys
from service_kit.tokens import UnusableKeyError, thumbprint


def named(key: rsa.RSAPrivateKey) -> SigningKey:
    return SigningKey(thumbprint(key.public_key()), key)


def sealed_pkcs8(
    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, kid: str
) -> bytes:
    plain = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    return sealer().seal(plain, kid.encode())


async def test_k8_new_key_has_128_bits_of_strength_and_its_thumbprint_as_kid() -> None:
    key = await generate_signing_key()

    assert key.private_key.key_size == 3072
    assert key.private_key.public_key().public_numbers().e == 65537
    assert key.kid == thumbprint(key.private_key.public_key())


def test_k8_key_opens_only_under_its_own_kid() -> None:
    key, other = named(private_key("first")), named(private_key("second"))
    sealed = seal_signing_key(key, sealer())

    opened = open_signing_key(key.kid, sealed, sealer())
    assert opened.private_key.private_numbers() == key.private_key.private_numbers()
    with pytest.raises(SealBrokenError):
        open_signing_key(other.kid, sealed, sealer())


async def test_opening_a_key_holds_nobody_up() -> None:
    key = await generate_signing_key()
    sealed = seal_signing_key(key, sealer())
    started_at = time.thread_time()
    for _ in range(10):
        open_signing_key(key.kid, sealed, sealer())
    assert time.thread_time() - started_at < 0.25


@pytest.mark.parametrize(
    ("key", "bits"), [("weak", 1024), ("almost", 2040)], ids=["K8 1024", "K8 2040"]
)
def test_k8_weak_key_is_refused(key: str, bits: int) -> None:
    weak = named(private_key(key, bits))
    with pytest.raises(UnusableKeyError):
        open_signing_key(weak.kid, sealed_pkcs8(weak.private_key, weak.kid), sealer())
    with pytest.raises(UnusableKeyError):
        read_published_jwk(weak.kid, published_jwk(weak))


def test_k8_key_that_its_kid_does_not_name_is_refused() -> None:
    key, other = named(private_key("first")), named(private_key("second"))
    with pytest.raises(UnusableKeyError):
        open_signing_key(other.kid, sealed_pkcs8(key.private_key, other.kid), sealer())
    with pytest.raises(UnusableKeyError):
        read_published_jwk(other.kid, published_jwk(key))


def test_k8_other_kinds_of_key_are_refused() -> None:
    curve = ec.generate_private_key(ec.SECP256R1())
    with pytest.raises(UnusableKeyError):
        open_signing_key("kid", sealed_pkcs8(curve, "kid"), sealer())
    with pytest.raises(UnusableKeyError):
        open_signing_key("kid", sealer().seal(b"no key", b"kid"), sealer())


def test_k8_key_does_not_show_itself() -> None:
    assert "private_key" not in repr(named(private_key()))


async def stored_seals(url: str) -> set[str]:
    async with connected(url) as engine, engine.connect() as connection:
        found = await connection.scalars(select(signing_keys.c.sealed_private_key))
        return {sealed[:4].hex() for sealed in found if sealed is not None}


async def test_private_keys_are_sealed_again_when_the_first_sealing_key_changes(
    database_url: str,
) -> None:
    clock = ManualClock()
    async with process(database_url, clock, seals_with=sealer("a", "b")) as old:
        await old.rotation.advance()
        await old.rotation.advance()
        kid = (await old.keys.active()).kid
    assert await stored_seals(database_url) == {"aaaaaaaa"}

    async with process(database_url, clock, seals_with=sealer("b", "a")) as new:
        assert await new.rotation.reseal() == 2
        assert await new.rotation.reseal() == 0
    assert await stored_seals(database_url) == {"bbbbbbbb"}

    async with process(database_url, clock, seals_with=sealer("b")) as without_old:
        assert (await without_old.keys.active()).kid == kid


async def test_process_without_the_sealing_key_signs_nothing_and_breaks_nothing(
    database_url: str,
) -> None:
    clock = ManualClock()
    async with process(database_url, clock) as right:
        await right.rotation.advance()
        await right.rotation.advance()
        jwks = right.keys.jwks().body
    async with process(database_url, clock, seals_with=sealer("c")) as wrong:
        clock.advance(timedelta(days=31))
        await wrong.rotation.advance()
        with pytest.raises(SigningKeyUnavailableError):
            await wrong.keys.active()
        assert await wrong.keys.fault() is not None
        with pytest.raises(SigningKeyUnavailableError):
            await wrong.rotation.reseal()
        assert wrong.keys.jwks().body == jwks


async def test_published_key_that_was_tampered_with_is_not_served(
    database_url: str,
) -> None:
    clock = ManualClock()
    async with process(database_url, clock) as one:
        await one.rotation.advance()
        await one.rotation.advance()
        active, following = in_slot(await one.keys.refresh())
    assert active is not None
    assert following is not None
    async with connected(database_url) as engine, engine.begin() as connection:
        await connection.execute(
            update(signing_keys)
            .where(signing_keys.c.kid == following.kid)
            .values(public_jwk=active.public_jwk)
        )
    async with process(database_url, clock) as two:
        await two.keys.refresh()
        assert await two.keys.fetch(active.kid) is not None
        assert await two.keys.fetch(following.kid) is None
