"""The texts of mails: ours, and those that an operator puts in their place.

A text template is named ``<language>/<kind>.txt``. Its first line is the subject, after
``Subject: ``; blank lines part its paragraphs. ``$name`` stands for a value. The HTML
part is made of the same paragraphs, put into ``layout.html`` where it says ``$body``.
"""

import html
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Final, Self

from identity_service.domain.mail import FACTOR_MAILS, MailKind
from service_kit.files import read_file
from service_kit.languages.text import ENGLISH

VALUES: Final[Mapping[MailKind, frozenset[str]]] = {
    kind: frozenset({"service", *names})
    for kind, names in {
        MailKind.PASSWORD_RESET: ("username", "link", "minutes"),
        MailKind.PASSWORD_CHANGED: ("username",),
        MailKind.INVITATION: ("username", "link", "days"),
        MailKind.SIGN_UP: ("username", "link", "hours"),
        MailKind.ALREADY_SIGNED_UP: (),
        MailKind.EMAIL_VERIFICATION: ("username", "link", "hours"),
        MailKind.EMAIL_CHANGE: ("username", "link", "hours"),
        MailKind.EMAIL_CHANGED: ("username", "link", "hours", "address"),
        **dict.fromkeys(FACTOR_MAILS, ("username", "link", "hours")),
        MailKind.SIGN_IN_CODE: ("username", "code", "minutes"),
        MailKind.ACCOUNT_DELETION: ("username", "date"),
    }.items()
}
"""What each kind's templates may name."""

LAYOUT: Final = "layout.html"

_SUBJECT: Final = "Subject: "
_LONGEST_FILE: Final = 65_536
"""Bytes of a template."""

_FOLDER: Final = Path(__file__).parent / "templates"


class TemplateFaultError(ValueError):
    """A template cannot be used; the text names the file and the reason."""


@dataclass(frozen=True, slots=True)
class MailText:
    """What a mail says."""

    subject: str
    text: str
    html: str


class MailTemplates:
    """Templates by language and kind."""

    def __init__(self, texts: Mapping[str, Template], layout: Template) -> None:
        self._texts = texts
        self._layout = layout

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Return our templates with those of a folder put in their place.

        The folder may hold some of the files.

        Raises `TemplateFaultError`.
        """
        if not folder.is_dir():
            raise TemplateFaultError("names no folder")
        files = {**_OWN_FILES, **_read_files(folder)}
        layout = Template(files.pop(LAYOUT))
        made = cls({name: Template(text) for name, text in files.items()}, layout)
        for name in files:
            made._check(name)
        return made

    def write(
        self, kind: MailKind, language: str, values: Mapping[str, str]
    ) -> MailText:
        """Return what a mail says, in English where there is no such language."""
        if f"{language}/{kind}.txt" not in self._texts:
            language = ENGLISH
        template = self._texts[f"{language}/{kind}.txt"]
        subject, paragraphs = _split(template.substitute(values))
        body = "\n".join(map(_paragraph, paragraphs))
        page = self._layout.substitute(
            language=language,
            body=body,
            subject=html.escape(subject),
            service=html.escape(values["service"]),
        )
        return MailText(subject, "\n\n".join(paragraphs) + "\n", page)

    def _check(self, name: str) -> None:
        """Write a mail with the template, to find what is wrong with it now."""
        stem = name.partition("/")[2].removesuffix(".txt")
        try:
            kind = MailKind(stem)
        except ValueError:
            raise TemplateFaultError(f"{name}: there is no mail of this kind") from None
        try:
            self.write(kind, name.partition("/")[0], dict.fromkeys(VALUES[kind], "x"))
        except KeyError as error:
            raise TemplateFaultError(f"{name} names ${error.args[0]}") from None
        except ValueError as error:
            raise TemplateFaultError(f"{name}: {error}") from None


def _split(text: str) -> tuple[str, list[str]]:
    """Return the subject and the paragraphs of a filled-in template."""
    first, _, rest = text.partition("\n")
    if not first.startswith(_SUBJECT):
        raise ValueError(f"its first line does not begin with {_SUBJECT!r}")
    paragraphs = [each.strip("\n") for each in rest.split("\n\n")]
    return first.removeprefix(_SUBJECT).strip(), [each for each in paragraphs if each]


def _paragraph(text: str) -> str:
    """Return a paragraph as HTML; one that is an address alone is a link."""
    escaped = html.escape(text)
    if text.startswith(("https://", "http://")) and len(text.split()) == 1:
        return f'<p><a href="{escaped}">{escaped}</a></p>'
    return f"<p>{escaped.replace(chr(10), '<br>')}</p>"


def _read_files(folder: Path) -> dict[str, str]:
    """Return the templates in a folder, by their paths in it."""
    found: dict[str, str] = {}
    for path in (folder / LAYOUT, *sorted(folder.glob("*/*.txt"))):
        if not path.exists():
            continue
        name = path.relative_to(folder).as_posix()
        try:
            content = read_file(path, longest=_LONGEST_FILE)
            found[name] = content.decode("utf-8-sig").replace("\r\n", "\n")
        except UnicodeDecodeError:
            raise TemplateFaultError(f"{name} is not UTF-8") from None
        except OSError as error:
            raise TemplateFaultError(f"{name}: {error.strerror}") from None
    return found


_OWN_FILES: Final = _read_files(_FOLDER)
"""Read with this module, as if they stood in it: the event loop never waits for it."""

OWN: Final = MailTemplates.read(_FOLDER)
