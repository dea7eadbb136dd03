import contextlib
import gzip
import statistics
import time
import unicodedata
from importlib.metadata import distribution
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from identity_service.domain.accounts.emails import EmailAddress
from identity_service.domain.accounts.passwords import (
    PASSWORD_MAX_LENGTH,
    PasswordPolicy,
    WeakPasswordError,
    normalise,
)
from identity_service.domain.accounts.usernames import Username
from identity_service.security.common_passwords import COMMON_PASSWORDS

ALICE = Username.parse("alice.liddell")
ADDRESS = EmailAddress.parse("quintessa@brambleford.org")
POLICY = PasswordPolicy(8, common=COMMON_PASSWORDS, context=["Bezkoder"])


def refusal(password: str, policy: PasswordPolicy = POLICY) -> str | None:
    try:
        policy.check(password, ALICE, ADDRESS)
    except WeakPasswordError as error:
        return error.code
    return None


def test_a_refusal_names_its_field_and_not_the_password() -> None:
    with pytest.raises(WeakPasswordError) as weak:
        POLICY.check("sunshine!!", ALICE, ADDRESS)

    assert weak.value.field == "password"
    assert "sunshine" not in f"{weak.value} {weak.value.message}"


@pytest.mark.parametrize("least", [8, 15])
def test_p1_least_length_is_a_setting(least: int) -> None:
    policy = PasswordPolicy(least, common=COMMON_PASSWORDS)
    password = "vexing-quilt-zebra"

    assert refusal(password[: least - 1], policy) == "password_too_short"
    assert refusal(password[:least], policy) is None


def test_p1_length_counts_composed_characters() -> None:
    assert refusal("e\u0301" * 7) == "password_too_short"


@pytest.mark.parametrize(
    "password",
    [
        pytest.param("😀" * 64, id="64 emoji"),
        pytest.param("密" * 25, id="25 Chinese characters are 75 bytes"),
        pytest.param("a" * 64, id="64 letters"),
        pytest.param("x" * 72 + "y", id="73 bytes"),
        pytest.param("q" * PASSWORD_MAX_LENGTH, id="256 letters"),
    ],
)
def test_p2_long_passwords_are_accepted(password: str) -> None:
    assert refusal(password) is None


def test_p2_beyond_the_longest_is_refused_not_cut() -> None:
    assert refusal("q" * (PASSWORD_MAX_LENGTH + 1)) == "password_too_long"
    assert refusal("q" * 100_000) == "password_too_long"


@pytest.mark.parametrize(
    "password",
    [
        pytest.param("correct horse battery", id="spaces inside"),
        pytest.param("  vexing quilt  ", id="spaces around"),
        pytest.param("vexingquilt", id="lower case alone"),
        pytest.param("9081726354", id="digits alone"),
        pytest.param("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~", id="ASCII punctuation"),
        pytest.param("пароль и ещё", id="Russian"),
        pytest.param("密码学很有意思的", id="eight Chinese"),
        pytest.param("👩‍👩‍👧‍👦👍🏽 family", id="joined emoji"),
        pytest.param("\U0001fae8\U0001fadc" * 4, id="emoji newer than this Python"),
        pytest.param("e\u0301a\u0300u\u0308o\u0302i\u0301ntl", id="combining marks"),
        pytest.param("no\u00a0break\u2003spaces", id="Unicode spaces"),
        pytest.param("\ue000private use", id="private use"),
    ],
)
def test_p4_anything_printable_is_accepted(password: str) -> None:
    assert refusal(password) is None


@pytest.mark.parametrize(
    "character",
    [
        pytest.param("\0", id="NUL"),
        pytest.param("\t", id="tab"),
        pytest.param("\n", id="line feed"),
        pytest.param("\r", id="carriage return"),
        pytest.param("\x1b", id="escape"),
        pytest.param("\x7f", id="delete"),
        pytest.param("\x85", id="next line"),
        pytest.param("\ud800", id="high surrogate"),
        pytest.param("\udfff", id="low surrogate"),
    ],
)
def test_p4_control_characters_and_surrogates_are_refused(character: str) -> None:
    assert refusal(f"vexing{character}quilt") == "password_characters"


def test_p4_normalised_to_nfc_and_nothing_else() -> None:
    assert normalise("e\u0301") == "\u00e9"
    assert normalise(" \uff21ﬁ ß A ") == " \uff21ﬁ ß A "


def common_passwords_of_django() -> list[str]:
    packed = distribution("django").locate_file(
        "django/contrib/auth/common-passwords.txt.gz"
    )
    with gzip.open(Path(str(packed)), "rt") as lines:
        return [line.strip() for line in lines if len(line.strip()) >= 8]


def test_p5_every_common_password_is_refused() -> None:
    listed = common_passwords_of_django()

    assert len(listed) > 8000
    assert [word for word in listed if refusal(word) is None] == []
    assert [word for word in listed if refusal(word.upper()) is None] == []


@pytest.mark.parametrize(
    ("password", "code"),
    [
        pytest.param("Password", "password_common", id="capital"),
        pytest.param("password2026!", "password_common", id="year and mark appended"),
        pytest.param("...sunshine...", "password_common", id="decorated"),
        pytest.param("alice.liddell", "password_personal", id="user name"),
        pytest.param("Alice.Liddell7", "password_personal", id="user name and digit"),
        pytest.param("alice-liddell", "password_personal", id="user name, almost"),
        pytest.param("lleddil.ecila", "password_personal", id="reversed"),
        pytest.param("quintessa1", "password_personal", id="mailbox"),
        pytest.param("qu1nt3ssa", "password_personal", id="mailbox, disguised"),
        pytest.param("quintessa@brambleford.org", "password_personal", id="address"),
        pytest.param("Brambleford99", "password_personal", id="domain"),
        pytest.param("quintessa brambleford", "password_personal", id="both"),
        pytest.param("bezkoder2026", "password_personal", id="the service"),
    ],
)
def test_p5_obvious_passwords_are_refused(password: str, code: str) -> None:
    assert refusal(password) == code


@pytest.mark.parametrize(
    "password",
    [
        pytest.param("quintessa likes vexing quilts", id="one's own name among others"),
        pytest.param("unliddelled-zebra", id="a part of the name"),
        pytest.param("password of vexing quilts", id="a common word among others"),
    ],
)
def test_p5_long_enough_without_what_is_known(password: str) -> None:
    assert refusal(password) is None


def test_short_names_are_no_reason() -> None:
    PasswordPolicy(8, common=COMMON_PASSWORDS).check(
        "vexing-quilt", Username.parse("q"), EmailAddress.parse("v@ex.in")
    )


def test_p5_a_check_takes_less_than_a_millisecond() -> None:
    hostile = [
        *common_passwords_of_django()[:2000],
        "4@8({[<369&#!1/|0$5+7%2" * 11,
        "charlott" * 32,
        "e" * PASSWORD_MAX_LENGTH,
        "\ufdfa" * PASSWORD_MAX_LENGTH,
        "e" + "\u0301" * (PASSWORD_MAX_LENGTH - 1),
        "brambleford.org" * 8,
    ]
    durations = []
    for password in hostile:
        started_at = time.thread_time()
        refusal(password)
        durations.append(time.thread_time() - started_at)

    assert statistics.quantiles(durations, n=100)[98] < 0.001


def test_p5_the_longest_names_do_not_slow_the_check() -> None:
    name = Username.parse("ab" * 32)
    address = EmailAddress.parse(f"{'ba' * 32}@{'ab' * 31}.{'ba' * 30}.org")
    started_at = time.thread_time()
    hostile = ("ab" * 60, "ba" * 100, "b" * 255, "aab" * 40, "aab" * 10, "ab" * 15)
    for password in hostile:
        with contextlib.suppress(WeakPasswordError):
            POLICY.check(password + "1", name, address)

    assert (time.thread_time() - started_at) / len(hostile) < 0.001


@given(st.text(max_size=300))
def test_every_text_is_accepted_or_refused(password: str) -> None:
    if refusal(password) is None:
        assert len(unicodedata.normalize("NFC", password)) >= 8
        assert password not in COMMON_PASSWORDS
