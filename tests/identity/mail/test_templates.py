import os
from datetime import UTC, datetime
from email.headerregistry import Address
from pathlib import Path
from typing import Final

import pytest
from tests.support.identity import identity_settings

from identity_service.domain.mail import Letter, MailKind
from identity_service.mail.messages import PAGES, MessageWriter
from identity_service.mail.templates import (
    OWN,
    VALUES,
    MailTemplates,
    TemplateFaultError,
)
from service_kit.languages.text import LANGUAGES
from service_kit.settings import SettingsError

AT: Final = datetime(2026, 1, 31, tzinfo=UTC)


def letter(kind: MailKind, language: str = "en", **values: str) -> Letter:
    given = dict.fromkeys(VALUES[kind] - {"service", "link"}, "value")
    if "link" in VALUES[kind]:
        given["token"] = "a-token"
    return Letter(
        kind=kind, to="alice@example.test", language=language, values=given | values
    )


def writer(templates: MailTemplates = OWN) -> MessageWriter:
    return MessageWriter(
        templates=templates,
        sender=Address("Example", "no-reply", "example.test"),
        pages_url="https://example.test/console",
    )


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", MailKind)
def test_every_mail_is_written_in_every_language(kind: MailKind, language: str) -> None:
    message = writer().write(letter(kind, language), "ab" * 16, AT)

    text, html = (message.get_body((each,)) for each in ("plain", "html"))
    assert text is not None
    assert html is not None
    assert "$" not in str(message["Subject"]) + text.get_content()
    assert "Example" in text.get_content()
    assert message["Content-Language"] == language
    assert f'<html lang="{language}">' in html.get_content()
    assert message["Auto-Submitted"] == "auto-generated"
    if "link" in VALUES[kind]:
        link = f"https://example.test/console#/{PAGES[kind]}?token=a-token"
        assert link in text.get_content()
        assert f'<a href="{link}">' in html.get_content()


def test_the_languages_differ() -> None:
    subjects = {
        OWN.write(kind, each, values).subject
        for kind in MailKind
        for values in [dict.fromkeys(VALUES[kind], "x")]
        for each in LANGUAGES
    }
    assert len(subjects) >= 2 * len(MailKind) - 2


def test_values_are_text_in_html_too() -> None:
    hostile = '<a href="https://evil.test">$link'
    message = writer().write(
        letter(MailKind.PASSWORD_CHANGED, username=hostile), "ab" * 16, AT
    )
    html = message.get_body(("html",))
    assert html is not None
    assert "<a href" not in html.get_content()
    assert "&lt;a href" in html.get_content()


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    "kind", [MailKind.SIGN_UP, MailKind.EMAIL_VERIFICATION, MailKind.EMAIL_CHANGE]
)
def test_a_mail_to_a_strangers_address_has_no_words_of_whoever_caused_it(
    kind: MailKind, language: str
) -> None:
    message = writer().write(
        letter(kind, language, username="visit https://evil.test"), "ab" * 16, AT
    )
    assert "evil" not in message.as_string()


def test_who_reads_another_language_gets_english() -> None:
    values = dict.fromkeys(VALUES[MailKind.SIGN_UP], "x")
    assert OWN.write(MailKind.SIGN_UP, "fr", values) == OWN.write(
        MailKind.SIGN_UP, "en", values
    )


def test_an_operator_replaces_texts(tmp_path: Path) -> None:
    for language, hello in (("en", "Welcome back"), ("de", "Willkommen")):
        (tmp_path / language).mkdir()
        (tmp_path / language / "password_reset.txt").write_text(
            f"Subject: {hello}\n\n{hello}, $username\n\n$link\n"
        )
    (tmp_path / "layout.html").write_text("<html><h1>$service</h1>$body</html>")
    templates = MailTemplates.read(tmp_path)

    for language, hello in (("en", "Welcome back"), ("de", "Willkommen")):
        written = writer(templates).write(
            letter(MailKind.PASSWORD_RESET, language, username="alice"), "ab" * 16, AT
        )
        assert written["Subject"] == hello
        html = written.get_body(("html",))
        assert html is not None
        assert "<h1>Example</h1>" in html.get_content()
        assert f"<p>{hello}, alice</p>" in html.get_content()


@pytest.mark.parametrize(
    ("name", "content", "fault"),
    [
        ("en/password_reset.txt", b"Subject: x\n\n$password", "names $password"),
        ("en/password_reset.txt", b"Hello\n\n$link", "first line"),
        ("en/password_reset.txt", b"Subject: x\n\n$ 5", "Invalid placeholder"),
        ("en/password_reset.txt", b"Subject: \xff", "not UTF-8"),
        ("en/newsletter.txt", b"Subject: x\n\nx", "no mail of this kind"),
        ("en/password_reset.txt", b"Subject: x\n\n" + b"x" * 70_000, "more than"),
        ("layout.html", b"$body $nonsense", "names $nonsense"),
    ],
)
def test_a_bad_template_is_a_fault_of_the_settings(
    tmp_path: Path, name: str, content: bytes, fault: str
) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)

    with pytest.raises(SettingsError) as caught:
        identity_settings(
            "sqlite+aiosqlite:///x", IDENTITY_MAIL_TEMPLATES=str(tmp_path)
        )

    assert fault in str(caught.value)


def test_a_template_that_is_a_pipe_is_a_fault_of_the_settings(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "layout.html")

    with pytest.raises(TemplateFaultError, match=r"layout\.html: it is not a regular"):
        MailTemplates.read(tmp_path)
