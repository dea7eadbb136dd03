import contextlib
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from identity_service.domain.accounts.emails import (
    EMAIL_MAX_LENGTH,
    EmailAddress,
    InvalidEmailError,
)
from identity_service.domain.accounts.usernames import (
    USERNAME_MAX_LENGTH,
    InvalidUsernameError,
    Username,
)


@pytest.mark.parametrize(
    "twin",
    [
        pytest.param("ADMIN", id="upper case"),
        pytest.param("aDmIn", id="mixed case"),
        pytest.param("ádmin", id="accent"),
        pytest.param("a\u0301dmin", id="combining accent"),
        pytest.param("adm\u0131n", id="dotless i"),
        pytest.param("ADM\u0130N", id="dotted capital I"),
        pytest.param("\uff41\uff44\uff4d\uff49\uff4e", id="full width"),
        pytest.param("\U0001d41a\U0001d41d\U0001d426\U0001d422\U0001d427", id="bold"),
        pytest.param("\u0430dmin", id="Cyrillic a"),
        pytest.param("\u03b1dm\u03b9n", id="Greek alpha and iota"),
        pytest.param("a\u0336dmin", id="struck through"),
    ],
)
def test_p10_look_alikes_are_one_name(twin: str) -> None:
    assert Username.parse(twin).key == Username.parse("admin").key
    assert Username.parse(twin).text == unicodedata.normalize("NFC", twin)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param("ß" * 8, "SS" * 8, id="sharp s"),
        pytest.param("Ærø", "ærø", id="Danish"),
        pytest.param("ΣΊΣΥΦΟΣ", "σίσυφος", id="final sigma"),
        pytest.param(
            "\u041c\u043e\u0441\u043a\u0432\u0430",
            "\u041c\u041e\u0421\u041a\u0412\u0410",
            id="Russian case",
        ),
        pytest.param("ёлка", "елка", id="Russian yo"),
        pytest.param("ﬁn", "fin", id="ligature"),
        pytest.param("ｶﾞ", "ガ", id="half-width kana"),
        pytest.param("각", "\u1100\u1161\u11a8", id="composed Hangul"),
        pytest.param("paypal", "\u0440\u0430\u0443\u0440\u0430l", id="Cyrillic word"),
    ],
)
def test_p10_spellings_of_one_name(one: str, other: str) -> None:
    assert Username.parse(one).key == Username.parse(other).key


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param("alice", "alicia", id="other letters"),
        pytest.param("anna1", "anna2", id="other digit"),
        pytest.param("a.b", "ab", id="dot"),
        pytest.param("कि", "के", id="Hindi vowel signs"),
        pytest.param("ガ", "カ", id="voiced kana"),
        pytest.param("日本", "日木", id="Japanese"),
    ],
)
def test_p10_other_names_stay_apart(one: str, other: str) -> None:
    assert Username.parse(one).key != Username.parse(other).key


@pytest.mark.parametrize(
    ("name", "code"),
    [
        pytest.param("", "username_required", id="empty"),
        pytest.param(" ", "username_characters", id="space"),
        pytest.param("admin ", "username_characters", id="trailing space"),
        pytest.param(" admin", "username_characters", id="leading space"),
        pytest.param("a  b", "username_characters", id="two spaces"),
        pytest.param("admin\u00a0", "username_characters", id="no-break space"),
        pytest.param("a\u3000 b", "username_characters", id="ideographic space"),
        pytest.param("admin\0", "username_characters", id="NUL"),
        pytest.param("ad\tmin", "username_characters", id="tab"),
        pytest.param("admin\n", "username_characters", id="line feed"),
        pytest.param("ad\x1b[31mmin", "username_characters", id="escape"),
        pytest.param("ad\x7fmin", "username_characters", id="delete"),
        pytest.param("ad\x85min", "username_characters", id="next line"),
        pytest.param("ad\u200bmin", "username_characters", id="zero-width space"),
        pytest.param("ad\u200dmin", "username_characters", id="zero-width joiner"),
        pytest.param("ad\ufeffmin", "username_characters", id="byte order mark"),
        pytest.param("ad\u00admin", "username_characters", id="soft hyphen"),
        pytest.param("ad\u034fmin", "username_characters", id="grapheme joiner"),
        pytest.param("admin\ufe0f", "username_characters", id="variation selector"),
        pytest.param("ad\u3164min", "username_characters", id="Hangul filler"),
        pytest.param("ad\uffa0min", "username_characters", id="half-width filler"),
        pytest.param("\u202enimda", "username_characters", id="right-to-left override"),
        pytest.param("ad\u2066min", "username_characters", id="isolate"),
        pytest.param("ad\u2028min", "username_characters", id="line separator"),
        pytest.param("ad\u2800min", "username_characters", id="Braille blank"),
        pytest.param("\u24d0dmin", "username_characters", id="circled letter"),
        pytest.param("admin\u00b8", "username_characters", id="spacing cedilla"),
        pytest.param("😀", "username_characters", id="emoji"),
        pytest.param("admin😁", "username_characters", id="emoji at the end"),
        pytest.param("ad\ue000min", "username_characters", id="private use"),
        pytest.param("ad\uffffmin", "username_characters", id="noncharacter"),
        pytest.param("\ud800", "username_characters", id="lone surrogate"),
        pytest.param("\u0301", "username_characters", id="accent alone"),
        pytest.param("x" * 65, "username_too_long", id="65"),
        pytest.param("x" * 100_000, "username_too_long", id="100 000"),
        pytest.param("ß" * 33, "username_too_long", id="its key is longer"),
        pytest.param("\ufdfa" * 4, "username_too_long", id="its key is far longer"),
    ],
)
def test_p10_what_is_no_name(name: str, code: str) -> None:
    with pytest.raises(InvalidUsernameError) as refusal:
        Username.parse(name)

    assert refusal.value.code == code
    assert refusal.value.field == "username"
    assert name.strip() not in refusal.value.message or not name.strip()


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("x", id="one letter"),
        pytest.param("x" * USERNAME_MAX_LENGTH, id="64 letters"),
        pytest.param("bob smith", id="space inside"),
        pytest.param("o'brien_j-r.3", id="ASCII punctuation"),
        pytest.param("alice@example.org", id="e-mail address"),
        pytest.param("<b>&'\";--", id="markup"),
        pytest.param("12345678901234567890", id="digits"),
        pytest.param("José", id="Spanish"),
        pytest.param("Łukasz", id="Polish"),
        pytest.param("Nguyễn", id="Vietnamese"),
        pytest.param("मनीष", id="Hindi"),
        pytest.param("สมชาย", id="Thai"),
        pytest.param("محمد", id="Arabic"),
        pytest.param("דוד", id="Hebrew"),
        pytest.param("村上春樹", id="Japanese"),
        pytest.param("김철수", id="Korean"),
    ],
)
def test_names_of_every_script_are_accepted(name: str) -> None:
    assert Username.parse(name).text == name


@given(st.text(max_size=80))
def test_p10_every_text_is_a_name_or_refused(text: str) -> None:
    try:
        name = Username.parse(text)
    except InvalidUsernameError:
        return
    assert 1 <= len(name.text) <= USERNAME_MAX_LENGTH
    assert 1 <= len(name.key) <= USERNAME_MAX_LENGTH
    assert name.key == name.key.strip()
    assert name.key.isprintable()
    assert Username.parse(name.text) == name


@given(st.text(st.characters(categories=["L", "M", "N"]), min_size=1, max_size=20))
def test_p10_a_key_is_its_own_key(text: str) -> None:
    try:
        key = Username.parse(text).key
    except InvalidUsernameError:
        return
    assert Username.parse(key).key == key
    assert (
        Username.parse(text.upper()[:64]).key == Username.parse(text.lower()[:64]).key
    )


def test_p10_no_character_hides_a_space_in_its_decomposition() -> None:
    decomposed = [
        character
        for character in map(chr, range(0x110000))
        if unicodedata.decomposition(character)
    ]
    for name in (f"{character}a{character}" for character in decomposed):
        with contextlib.suppress(InvalidUsernameError):
            key = Username.parse(name).key
            assert key == " ".join(key.split())
            assert Username.parse(key).key == key


@pytest.mark.parametrize(
    "address",
    [
        pytest.param("a@b.c", id="short"),
        pytest.param("Alice.B+tag@Example.ORG", id="mixed case"),
        pytest.param("alice@example.test", id="reserved for tests"),
        pytest.param("alice@mail.corp.local", id="private network"),
        pytest.param("alice@exämple.de", id="international domain"),
        pytest.param("josé@example.org", id="international mailbox"),
        pytest.param("o'brien@example.org", id="apostrophe"),
        pytest.param(f"{'a' * 64}@{'b' * 63}.org", id="longest mailbox"),
    ],
)
def test_addresses_are_accepted(address: str) -> None:
    assert EmailAddress.parse(address).key == address.casefold()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param("Alice@example.org", "alice@EXAMPLE.ORG", id="case"),
        pytest.param("jos\u00e9@example.org", "jose\u0301@example.org", id="accent"),
        pytest.param("alice@\uff45xample.org", "alice@example.org", id="wide domain"),
        pytest.param("\uff41lice@example.org", "alice@example.org", id="wide mailbox"),
        pytest.param("a@xn--exmple-cua.de", "a@exämple.de", id="punycode"),
    ],
)
def test_p10_spellings_of_one_address(one: str, other: str) -> None:
    assert EmailAddress.parse(one).key == EmailAddress.parse(other).key


@pytest.mark.parametrize(
    ("address", "code"),
    [
        pytest.param("", "email_required", id="empty"),
        pytest.param("alice", "email_malformed", id="no at"),
        pytest.param("@example.org", "email_malformed", id="no mailbox"),
        pytest.param("alice@", "email_malformed", id="no domain"),
        pytest.param("alice@localhost", "email_malformed", id="no dot"),
        pytest.param("a@b@example.org", "email_malformed", id="two ats"),
        pytest.param("a b@example.org", "email_malformed", id="space"),
        pytest.param(" a@example.org", "email_malformed", id="leading space"),
        pytest.param("a@example.org\n", "email_malformed", id="line feed"),
        pytest.param("a\0@example.org", "email_malformed", id="NUL"),
        pytest.param("a\u200b@example.org", "email_malformed", id="zero width"),
        pytest.param("a..b@example.org", "email_malformed", id="two dots"),
        pytest.param("a@example..org", "email_malformed", id="two dots in the domain"),
        pytest.param("a@[127.0.0.1]", "email_malformed", id="address literal"),
        pytest.param('"a b"@example.org', "email_malformed", id="quoted mailbox"),
        pytest.param("Al <a@example.org>", "email_malformed", id="display name"),
        pytest.param("=?utf-8?q?b=2Ca?=@example.org", "email_malformed", id="encoded"),
        pytest.param("\ud800@example.org", "email_malformed", id="lone surrogate"),
        pytest.param("a@\ud800.org", "email_malformed", id="surrogate in the domain"),
        pytest.param("a" * 65 + "@example.org", "email_malformed", id="long mailbox"),
        pytest.param("a@" + "b." * 200 + "org", "email_too_long", id="long"),
        pytest.param("a" * 1_000_000, "email_too_long", id="a million"),
    ],
)
def test_what_is_no_address(address: str, code: str) -> None:
    with pytest.raises(InvalidEmailError) as refusal:
        EmailAddress.parse(address)

    assert refusal.value.code == code
    assert refusal.value.field == "email"


@given(st.text(max_size=30), st.text(max_size=30))
def test_every_text_is_an_address_or_refused(mailbox: str, domain: str) -> None:
    try:
        address = EmailAddress.parse(f"{mailbox}@{domain}")
    except InvalidEmailError:
        return
    assert len(address.text) <= EMAIL_MAX_LENGTH
    assert len(address.key) <= EMAIL_MAX_LENGTH
    assert EmailAddress.parse(address.text).key == address.key


@given(st.text(max_size=80))
def test_p8_any_text_has_a_key_and_a_name_its_own(text: str) -> None:
    key = Username.key_of(text)

    assert Username.key_of(f" \t{text}  ") == key
    assert key == key.strip()
    with contextlib.suppress(InvalidUsernameError):
        assert Username.parse(text).key == key
