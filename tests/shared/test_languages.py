"""Texts in the language of whoever reads them."""

import pytest

from service_kit.languages.accepting import language_of
from service_kit.languages.text import Text, duration
from service_kit.problems import accounts, language_headers, retry_in


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ([], "en"),
        (["de"], "de"),
        (["de-AT"], "de"),
        (["DE"], "de"),
        (["fr, de;q=0.5"], "de"),
        (["fr", "de"], "de"),
        (["en, de"], "en"),
        (["de, en"], "de"),
        (["en;q=0.2, de;q=0.8"], "de"),
        (["de;q=0.2, en;q=0.8"], "en"),
        (["de;q=0"], "en"),
        (["*"], "en"),
        (["*;q=0.9, en;q=0.1"], "de"),
        (["de;q=0, *"], "en"),
        (["fr"], "en"),
        (["de;q=2"], "en"),
        (["de;q=x"], "en"),
        ([",;;,=;q"], "en"),
        (["x" * 300 + ",de"], "en"),
    ],
)
def test_the_language_of_greatest_weight_is_preferred(
    accepted: list[str], language: str
) -> None:
    assert language_of(accepted) == language


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("en", "Too many attempts. Please try again in 46 seconds."),
        ("de", "Zu viele Versuche. Bitte in 46 Sekunden noch einmal versuchen."),
        ("fr", "Too many attempts. Please try again in 46 seconds."),
    ],
)
def test_a_wait_is_written_in_words(language: str, words: str) -> None:
    refusal = retry_in(accounts.TOO_MANY_ATTEMPTS, 46)

    assert refusal.text.in_language(language) == words


def test_what_a_stranger_sent_is_no_template() -> None:
    text = Text("Failed! Role does not exist = {name}", {"name": "{name.__class__}"})

    assert str(text) == "Failed! Role does not exist = {name.__class__}"


def test_a_text_that_nobody_has_translated_is_english_and_says_so() -> None:
    problem = accounts.BUSY
    untold = type(problem)(problem.status, "x", "Nobody knows.", "So.", "Wait.")

    assert untold.text.in_language("de") == "Nobody knows."
    assert language_headers(untold, "de")["Content-Language"] == "en"
    assert language_headers(problem, "de")["Content-Language"] == "de"


def test_a_duration_is_in_one_unit() -> None:
    assert str(duration(1)) == "1 second"
    assert duration(7200).in_language("de") == "2 Stunden"
