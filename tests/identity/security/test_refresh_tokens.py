import base64
import hashlib
import string
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from identity_service.security.keyrings import Keyring
from identity_service.security.refresh_tokens import RefreshToken, RefreshTokens

OLD, NEW, OTHER = (
    base64.urlsafe_b64encode(bytes([n]) * 32).decode() for n in (1, 2, 3)
)
TOKENS = RefreshTokens(Keyring.parse([NEW, OLD]))
SESSION = "00ff" * 8


@given(st.binary(min_size=16, max_size=16), st.integers(0, 2**48 - 1))
def test_r1_reads_what_it_wrote(session_id: bytes, generation: int) -> None:
    token = RefreshToken(session_id.hex(), generation)
    written = TOKENS.write(token)

    assert TOKENS.read(written) == token
    assert len(written) == 72


def test_r1_what_is_stored_does_not_make_a_token() -> None:
    """Session id and generation are in the database, the HMAC nowhere."""
    stored = bytes.fromhex(SESSION) + (7).to_bytes(6)
    guess = base64.urlsafe_b64encode(stored + hashlib.sha256(stored).digest())

    assert TOKENS.read(guess.decode()) is None


def test_generations_have_nothing_in_common_but_the_session() -> None:
    first, second = (TOKENS.write(RefreshToken(SESSION, n)) for n in (1, 2))

    assert first[:20] == second[:20]
    assert sum(a == b for a, b in zip(first[30:], second[30:], strict=True)) < 12


@pytest.mark.parametrize("place", range(72))
def test_r1_changed_token_is_refused(place: int) -> None:
    written = TOKENS.write(RefreshToken(SESSION, 1))
    alphabet = string.ascii_letters + string.digits + "-_"
    for replacement in alphabet.replace(written[place], "")[:8]:
        changed = written[:place] + replacement + written[place + 1 :]
        assert TOKENS.read(changed) is None


@pytest.mark.parametrize(
    "spelling",
    [
        pytest.param(lambda token: token + "=", id="padding"),
        pytest.param(lambda token: token + "====", id="much padding"),
        pytest.param(lambda token: " " + token, id="leading space"),
        pytest.param(lambda token: token + "\n", id="line feed"),
        pytest.param(lambda token: token[:36] + "\n" + token[36:], id="folded"),
        pytest.param(lambda token: token[:-1], id="shorter"),
        pytest.param(lambda token: token + "A", id="longer"),
        pytest.param(lambda token: token[:-1] + "é", id="not ASCII"),
        pytest.param(lambda token: token[:-1] + "\ud800", id="lone surrogate"),
        pytest.param(lambda _: "", id="empty"),
        pytest.param(lambda _: "A" * 72, id="zeros"),
        pytest.param(lambda _: "A" * 1_000_000, id="a million"),
        pytest.param(lambda _: "eyJhbGciOiJSUzI1NiJ9.e30.c2ln", id="JWT"),
    ],
)
def test_r1_a_token_has_one_spelling(spelling: Callable[[str], str]) -> None:
    assert TOKENS.read(spelling(TOKENS.write(RefreshToken(SESSION, 1)))) is None


def test_r1_standard_base64_is_refused() -> None:
    for generation in range(100):
        written = TOKENS.write(RefreshToken(SESSION, generation))
        standard = written.replace("-", "+").replace("_", "/")
        if standard != written:
            assert TOKENS.read(standard) is None
            return
    pytest.fail("no token differs between the alphabets")


def test_every_key_reads_and_the_first_writes() -> None:
    token = RefreshToken(SESSION, 1)
    old = RefreshTokens(Keyring.parse([OLD])).write(token)

    assert TOKENS.read(old) == token
    assert RefreshTokens(Keyring.parse([NEW])).read(TOKENS.write(token)) == token
    assert RefreshTokens(Keyring.parse([OTHER])).read(old) is None


@pytest.mark.parametrize("session_id", ["", "00" * 15, "00" * 17])
def test_no_token_for_what_is_no_session_id(session_id: str) -> None:
    with pytest.raises(ValueError, match="16 bytes"):
        TOKENS.write(RefreshToken(session_id, 1))
