"""Which published keys are used."""

import json
from base64 import urlsafe_b64decode
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from tests.support.tokens import OMIT, b64, changed, private_key, public_half

from service_kit.tokens import (
    UnusableKeyError,
    VerificationKey,
    parse_jwk,
    public_jwk,
    thumbprint,
)
from service_kit.tokens.jwks import MAX_KEYS, parse_jwks

RFC_7638_N = (
    "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1"
    "L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4"
    "QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbO"
    "pbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csF"
    "Cur-kEgU8awapJzKnqDKgw"
)


def jwk(**changes: object) -> dict[str, Any]:
    return changed(public_jwk(public_half()), changes)


def number(value: int) -> str:
    return b64(value.to_bytes((value.bit_length() + 7) // 8 or 1))


def test_k2_thumbprint_is_that_of_the_rfc() -> None:
    modulus = int.from_bytes(urlsafe_b64decode(RFC_7638_N + "=="))
    key = rsa.RSAPublicNumbers(65537, modulus).public_key()

    assert thumbprint(key) == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"


def test_k1_published_key_reads_back_as_itself() -> None:
    published = public_jwk(public_half())

    assert set(published) == {"kty", "use", "alg", "kid", "n", "e"}
    assert published["e"] == "AQAB"
    assert parse_jwk(published) == public_half()


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"use": OMIT}, id="T15-no-use"),
        pytest.param({"key_ops": ["verify"]}, id="T15-key-ops-verify"),
        pytest.param({"x5t": "unused"}, id="T15-unknown-member"),
    ],
)
def test_key_for_verifying_is_used(changes: dict[str, Any]) -> None:
    assert parse_jwk(jwk(**changes)) == public_half()


def test_t16_2048_bits_are_accepted_and_ours_have_3072() -> None:
    assert parse_jwk(public_jwk(public_half("short", 2048))).public_key.key_size == 2048
    assert public_half().public_key.key_size == 3072


MODULUS = private_key().public_key().public_numbers().n

_UNUSABLE: dict[str, dict[str, object]] = {
    "kty-absent": {"kty": OMIT},
    "kty-EC": {"kty": "EC"},
    "kty-oct": {"kty": "oct"},
    "kty-lower-case": {"kty": "rsa"},
    "use-enc": {"use": "enc"},
    "use-null": {"use": None},
    "key-ops-encrypt": {"key_ops": ["encrypt"]},
    "key-ops-empty": {"key_ops": []},
    "key-ops-text": {"key_ops": "verify"},
    "alg-absent": {"alg": OMIT},
    "alg-PS256": {"alg": "PS256"},
    "alg-HS256": {"alg": "HS256"},
    "alg-RS384": {"alg": "RS384"},
    "kid-absent": {"kid": OMIT},
    "kid-empty": {"kid": ""},
    "kid-number": {"kid": 1},
    "kid-long": {"kid": "k" * 257},
    "n-absent": {"n": OMIT},
    "n-number": {"n": 12345},
    "n-empty": {"n": ""},
    "n-padded": {"n": number(MODULUS) + "="},
    "n-leading-zero": {"n": b64(b"\0" + MODULUS.to_bytes(384))},
    "n-standard-base64": {"n": "+/" + number(MODULUS)[2:]},
    "n-512-bits": {"n": number((1 << 511) + 1)},
    "n-1024-bits": {"n": number((1 << 1023) + 1)},
    "n-2047-bits": {"n": number((1 << 2046) + 1)},
    "n-16384-bits": {"n": number((1 << 16383) + 1)},
    "e-absent": {"e": OMIT},
    "e-1": {"e": "AQ"},
    "e-3": {"e": "Aw"},
    "e-0": {"e": "AA"},
    "e-even": {"e": "AQAA"},
    "e-leading-zero": {"e": "AAEAAQ"},
    "e-number": {"e": 65537},
    **{f"private-{name}": {name: "AQAB"} for name in ("d", "p", "q", "dp", "dq", "qi")},
    "private-oth": {"oth": []},
    "symmetric-k": {"k": "AQAB"},
}


UNFIT = [pytest.param(each, id=f"T15-{name}") for name, each in _UNUSABLE.items()]


@pytest.mark.parametrize("changes", UNFIT)
def test_unfit_key_is_not_used(changes: dict[str, object]) -> None:
    with pytest.raises(UnusableKeyError):
        parse_jwk(jwk(**changes))


def document(*keys: object) -> bytes:
    return json.dumps({"keys": keys}).encode()


@pytest.mark.parametrize("changes", UNFIT)
def test_unfit_key_beside_a_good_one_is_passed_over(changes: dict[str, object]) -> None:
    unfit = jwk(**{"kid": "another", **changes})

    assert parse_jwks(document(unfit, jwk())) == {public_half().kid: public_half()}


def test_keys_without_a_name_are_passed_over() -> None:
    nameless = {"kty": "EC", "crv": "P-256"}

    keys = parse_jwks(document(nameless, nameless, jwk()))

    assert keys == {public_half().kid: public_half()}


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda: b"", id="nothing"),
        pytest.param(lambda: b"<html></html>", id="html"),
        pytest.param(lambda: b"[]", id="array"),
        pytest.param(lambda: b"{}", id="no-keys"),
        pytest.param(document, id="empty-set"),
        pytest.param(lambda: b'{"keys":{}}', id="keys-object"),
        pytest.param(lambda: document(jwk(), "key"), id="key-is-text"),
        pytest.param(lambda: b"[" * 200_000, id="deep-nest"),
        pytest.param(lambda: b'{"keys":[], "keys":[]}', id="keys-twice"),
        pytest.param(lambda: document(jwk(use="enc")), id="no-usable-key"),
        pytest.param(lambda: document(jwk(), jwk()), id="same-key-twice"),
        pytest.param(
            lambda: document(jwk(), public_jwk(_renamed("evil"))),
            id="T15-kid-twice",
        ),
        pytest.param(
            lambda: document(jwk(), {"kty": "EC", "kid": public_half().kid}),
            id="T15-EC-key-with-our-kid",
        ),
        pytest.param(
            lambda: document(*(jwk(kid=str(n)) for n in range(MAX_KEYS + 1))),
            id="too-many-keys",
        ),
    ],
)
def test_bad_document_is_refused_whole(make: Callable[[], bytes]) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_jwks(make())


def _renamed(name: str) -> VerificationKey:
    return VerificationKey(public_half().kid, public_half(name).public_key)
