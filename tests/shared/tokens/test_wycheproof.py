"""Project Wycheproof's signatures and keys, through the code that judges ours.

The vectors are no access tokens, so their ``typ`` and claims are left out here: what is
judged is the form, the key and the signature.
"""

from typing import Any, Final

import pytest
from tests.support.corpora import corpus

from service_kit.tokens import InvalidTokenError, UnusableKeyError, VerificationKey
from service_kit.tokens.jwk import parse_jwk
from service_kit.tokens.jws import read_header, take_apart

ROCA: Final = "kid-rsa-roca-sign"
"""A key whose weakness shows only when it is factored."""

EMPTY_PAYLOAD: Final = "emptyPayload"
"""Valid as a JWS, but no token."""


def keys_of(group: dict[str, Any]) -> dict[str, VerificationKey]:
    """Return the group's usable keys; one name twice names none."""
    described = group.get("public") or group["private"]
    members = described.get("keys", [described])
    if len({each.get("kid") for each in members}) < len(members):
        return {}
    keys: dict[str, VerificationKey] = {}
    for each in members:
        try:
            key = parse_jwk(each)
        except UnusableKeyError:
            continue
        keys[key.kid] = key
    return keys


def accepted(keys: dict[str, VerificationKey], untrusted: object) -> bool:
    try:
        jws = take_apart(str(untrusted), max_length=1 << 16)
        header = read_header(jws.header)
    except InvalidTokenError:
        return False
    key = keys.get(str(header.get("kid")))
    return key is not None and key.has_signed(jws.signed, jws.signature)


@pytest.mark.parametrize(
    ("path", "least"),
    [
        pytest.param("wycheproof/json_web_signature_test.json", 401, id="signatures"),
        pytest.param("wycheproof/json_web_key_test.json", 26, id="T15-keys"),
    ],
)
def test_t1_t10_every_invalid_vector_is_refused_and_no_valid_rs256_one(
    path: str, least: int
) -> None:
    wrong, judged = [], 0
    for group in corpus(path)["testGroups"]:
        keys = keys_of(group)
        for case in group["tests"]:
            judged += 1
            passes = accepted(keys, case["jws"])
            valid = case["result"] == "valid" and bool(keys)
            if (
                passes != valid
                and case["comment"] != EMPTY_PAYLOAD
                and ROCA not in keys
            ):
                wrong.append((case["tcId"], case["comment"], case["result"]))

    assert wrong == []
    assert judged >= least
