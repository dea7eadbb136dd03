"""Status lists: their bytes, and the tokens that carry them."""

import resource
import zlib
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.support.corpora import corpus
from tests.support.tokens import (
    AUDIENCE,
    ISSUER,
    LISTS,
    OMIT,
    b64,
    changed,
    mint,
    public_half,
    sign,
)

from service_kit.tokens import (
    InvalidTokenError,
    StaticKeySet,
    StatusList,
    TokenVerifier,
    VerifiedStatusList,
    status_list_claims,
    verify_status_list,
)

URI = f"{LISTS}1"
NOW = datetime.now(UTC)


def test_s1_vectors_are_reproduced_both_ways() -> None:
    vectors = corpus("status-list/vectors.json")["vectors"]
    for vector in vectors:
        statuses = StatusList.of_size(vector["size"], bits=vector["bits"])
        for idx, status in vector["status"].items():
            statuses[int(idx)] = status
        claim = {"bits": vector["bits"], "lst": vector["lst"]}

        assert statuses.to_claim() == claim
        read = StatusList.from_claim(claim)
        assert len(read) == vector["size"]
        assert [idx for idx in range(len(read)) if read[idx] != statuses[idx]] == []
    assert len(vectors) == 6


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_s1_entries_do_not_touch_each_other(bits: int) -> None:
    statuses = StatusList.of_size(64, bits=bits)
    highest = (1 << bits) - 1

    for idx in range(0, 64, 3):
        statuses[idx] = highest
    statuses[3] = 0

    expected = [highest if idx % 3 == 0 and idx != 3 else 0 for idx in range(64)]
    assert [statuses[idx] for idx in range(64)] == expected


@pytest.mark.parametrize("idx", [-1, 64, 1 << 70])
def test_s3_index_outside_the_list_is_an_error(idx: int) -> None:
    statuses = StatusList.of_size(64)

    with pytest.raises(IndexError):
        statuses[idx]
    with pytest.raises(IndexError):
        statuses[idx] = 1


def test_status_too_large_for_its_bits_is_an_error() -> None:
    with pytest.raises(ValueError, match="does not fit"):
        StatusList.of_size(8)[0] = 2


GOOD_LST = StatusList.of_size(64).to_claim()["lst"]


MALFORMED: dict[str, object] = {
    "bits-3": {"bits": 3, "lst": GOOD_LST},
    "bits-0": {"bits": 0, "lst": GOOD_LST},
    "bits-16": {"bits": 16, "lst": GOOD_LST},
    "bits-text": {"bits": "1", "lst": GOOD_LST},
    "bits-true": {"bits": True, "lst": GOOD_LST},
    "bits-absent": {"lst": GOOD_LST},
    "lst-absent": {"bits": 1},
    "lst-number": {"bits": 1, "lst": 1},
    "lst-empty": {"bits": 1, "lst": ""},
    "lst-padded": {"bits": 1, "lst": GOOD_LST + "="},
    "lst-not-zlib": {"bits": 1, "lst": b64(b"\0" * 64)},
    "lst-truncated": {"bits": 1, "lst": b64(zlib.compress(bytes(64))[:-2])},
    "lst-and-more": {"bits": 1, "lst": b64(zlib.compress(bytes(64)) + b"x")},
    "lst-raw-deflate": {"bits": 1, "lst": b64(zlib.compress(b"", wbits=-15))},
    "list": [],
    "null": None,
}


@pytest.mark.parametrize(
    "claim", [pytest.param(each, id=f"S3-{name}") for name, each in MALFORMED.items()]
)
def test_malformed_list_is_an_error(claim: object) -> None:
    with pytest.raises(ValueError, match=r"."):
        StatusList.from_claim(claim)


def test_s4_decompression_is_capped() -> None:
    packer = zlib.compressobj(9)
    zeros = bytes(1 << 20)
    bomb = b"".join(packer.compress(zeros) for _ in range(1024)) + packer.flush()
    claim = {"bits": 1, "lst": b64(bomb)}
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    with pytest.raises(ValueError, match="too large"):
        StatusList.from_claim(claim)

    grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown_kib < 40 * 1024


def list_token(
    *,
    header: dict[str, Any] | None = None,
    claims: dict[str, Any] | None = None,
    key: str = "first",
) -> str:
    good = status_list_claims(
        URI,
        StatusList.of_size(64),
        issued_at=NOW,
        expires_at=NOW + timedelta(days=1),
        ttl=timedelta(seconds=15),
    )
    head = {"alg": "RS256", "kid": public_half(key).kid, "typ": "statuslist+jwt"}
    return sign(changed(head, header or {}), changed(good, claims or {}), key)


async def judge(token: str) -> VerifiedStatusList:
    return await verify_status_list(token, StaticKeySet([public_half()]), uri=URI)


async def test_good_list_is_believed() -> None:
    verified = await judge(list_token())

    assert len(verified.statuses) == 64
    assert verified.ttl == timedelta(seconds=15)
    assert verified.expires_at > NOW


@pytest.mark.parametrize(
    ("ttl", "seconds"),
    [
        (OMIT, 60),
        (0, 1),
        (-5, 1),
        (0.5, 1),
        (1, 1),
        (15, 15),
        (86400, 3600),
        (1e30, 3600),
    ],
    ids=lambda value: "S8-absent" if value is OMIT else f"S8-{value}",
)
async def test_s8_ttl_is_kept_within_bounds(ttl: object, seconds: float) -> None:
    verified = await judge(list_token(claims={"ttl": ttl}))

    assert verified.ttl == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "options",
    [
        pytest.param(options, id=f"S3-{name}")
        for name, options in {
            "signed-by-another-key": {"key": "evil"},
            "signed-by-another-key-with-our-kid": {
                "key": "evil",
                "header": {"kid": public_half().kid},
            },
            "typ-jwt": {"header": {"typ": "JWT"}},
            "typ-access-token": {"header": {"typ": "at+jwt"}},
            "typ-absent": {"header": {"typ": OMIT}},
            "alg-none": {"header": {"alg": "none"}},
            "sub-of-another-list": {"claims": {"sub": f"{LISTS}2"}},
            "sub-absent": {"claims": {"sub": OMIT}},
            "exp-passed": {"claims": {"exp": int(NOW.timestamp()) - 1}},
            "exp-absent": {"claims": {"exp": OMIT}},
            "exp-text": {"claims": {"exp": "9999999999"}},
            "iat-absent": {"claims": {"iat": OMIT}},
            "iat-in-the-future": {"claims": {"iat": int(NOW.timestamp()) + 3600}},
            "ttl-text": {"claims": {"ttl": "15"}},
            "ttl-true": {"claims": {"ttl": True}},
            "ttl-null": {"claims": {"ttl": None}},
            "status-list-absent": {"claims": {"status_list": OMIT}},
            "status-list-text": {"claims": {"status_list": GOOD_LST}},
            "bits-3": {"claims": {"status_list": {"bits": 3, "lst": GOOD_LST}}},
        }.items()
    ],
)
async def test_list_that_cannot_be_trusted_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidTokenError):
        await judge(list_token(**options))


async def test_s7_list_and_access_token_are_never_taken_for_each_other() -> None:
    keys = StaticKeySet([public_half()])
    likely = {"iss": ISSUER, "aud": AUDIENCE, "jti": "1", "sid": "1", "roles": []}
    listed = {"sub": URI, "status_list": {"bits": 1, "lst": GOOD_LST}}
    verifier = TokenVerifier(keys, issuer=ISSUER, audience=AUDIENCE)

    with pytest.raises(InvalidTokenError, match="typ"):
        await verifier.verify(list_token(claims={**likely, "client_id": "x"}))
    with pytest.raises(InvalidTokenError, match="typ"):
        await judge(mint(claims=listed))
