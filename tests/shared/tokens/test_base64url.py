"""Base64url has one spelling for each value."""

import itertools

import pytest

from service_kit.tokens import base64url

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def decoded(text: str) -> bytes | None:
    try:
        return base64url.decode(text)
    except ValueError:
        return None


@pytest.mark.parametrize("size", [0, 1, 2, 3, 4, 5, 384])
def test_what_is_encoded_is_decoded(size: int) -> None:
    data = bytes(range(255, 0, -1))[:size] * 2

    assert base64url.decode(base64url.encode(data)) == data


def test_t10_no_two_texts_are_the_same_value() -> None:
    pairs = ["".join(each) for each in itertools.product(ALPHABET, repeat=2)]
    texts = pairs + [f"{pair}A" for pair in pairs] + [f"A{pair}" for pair in pairs]
    values = {text: decoded(text) for text in texts}
    good = {text: value for text, value in values.items() if value is not None}

    assert all(base64url.encode(value) == text for text, value in good.items())
    assert len(good) == 64 * 4 + 64 * 64 + 64 * 16 - 64


@pytest.mark.parametrize(
    "text",
    ["A", "AAAAA", "AB", "AAB", "AA==", "AA=", "AAA=", "+A", "/A", "A A", "AA\n"],
)
def test_t10_other_spellings_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        base64url.decode(text)


@pytest.mark.parametrize("foreign", ["=", "+", "/", ".", " ", "\n", "\0", "é", "٣"])
@pytest.mark.parametrize("place", range(5))
def test_t10_foreign_characters_are_refused(foreign: str, place: int) -> None:
    text = "AAAAAAAA"

    with pytest.raises(ValueError, match=r"."):
        base64url.decode(text[:place] + foreign + text[place + 1 :])
