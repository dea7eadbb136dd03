"""User names: as shown, and as compared.

What decides whether two are the same is computed here and stored, so that no database's
collation has a say (docs/decisions/0031).
"""

import unicodedata
from dataclasses import dataclass
from typing import ClassVar, Final, Self

from identity_service.domain.accounts.case_folding import folded
from identity_service.domain.fields import InvalidFieldError

USERNAME_MAX_LENGTH: Final = 64
"""Code points, of the name as of its key. The tutorial's forms stop at 20."""

_READ_LENGTH: Final = 4 * USERNAME_MAX_LENGTH
"""Code points of a text that make its key; no longer text is a name."""

LETTERS_MARKS_DIGITS: Final = frozenset(
    {"Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Nd", "Nl", "No"}
)
"""General categories that make up names in every script. Symbols and emoji do not."""

INVISIBLE: Final = frozenset(
    "\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0"
    "\u180b\u180c\u180d\u180f"
    + "".join(map(chr, range(0xFE00, 0xFE10)))
    + "".join(map(chr, range(0xE0100, 0xE01F0)))
)
"""Letters and marks that show as nothing (Default_Ignorable_Code_Point)."""

ACCENT_CLASSES: Final = frozenset({1, *range(200, 241)})
"""Combining classes of marks that sit on, under or through a letter. Vowel signs of
Indic scripts, points of Hebrew and Arabic have others: they make another word."""

LOOK_ALIKES: Final = str.maketrans(
    "ıłøđħŧ" + "авеёнікмоԛрсѕтухһјԁԝѵӏь" + "αβεζηικμνορτυχγσ",
    "ilodht" + "abeehikmoqpcstyxhjdwvlb" + "abezhikmvoptyxyo",
)
"""Letters that pass for a Latin one in some font, in lower or upper case: stroked
Latin, Cyrillic, Greek. Coarse on purpose: to refuse a name costs little."""


class InvalidUsernameError(InvalidFieldError):
    """What was given cannot be a user name."""

    field: ClassVar[str] = "username"


@dataclass(frozen=True, slots=True)
class Username:
    """A user name: ``text`` is shown, ``key`` is unique."""

    text: str
    key: str

    @classmethod
    def parse(cls, untrusted: str) -> Self:
        """Return the name, or raise `InvalidUsernameError`.

        Letters, marks and digits of every script, printable ASCII, single spaces
        inside: 1 to 64 code points.
        """
        if not untrusted:
            raise InvalidUsernameError("username_required", "A user name is required.")
        text = unicodedata.normalize("NFC", untrusted[: USERNAME_MAX_LENGTH + 1])
        key = _username_key(text)
        if max(len(untrusted), len(text), len(key)) > USERNAME_MAX_LENGTH:
            raise InvalidUsernameError(
                "username_too_long",
                "A user name has at most {maximum} characters.",
                maximum=USERNAME_MAX_LENGTH,
            )
        if not (key and _is_name(text) and _is_name(key)):
            raise _invalid_characters(text)
        return cls(text, key)

    @staticmethod
    def key_of(untrusted: str) -> str:
        """Return the key of any text: a name's own, and one for what can be no name.

        So comparing texts does not reveal which of them are names.
        """
        words = " ".join(untrusted[:_READ_LENGTH].split())
        # Some marks are folded to a space, which MySQL does not distinguish from none.
        return _username_key(unicodedata.normalize("NFC", words)).strip()


def _username_key(text: str) -> str:
    """Return what all names that look like ``text`` have in common."""
    letters = "".join(
        character
        for character in unicodedata.normalize("NFKD", folded(text))
        if unicodedata.combining(character) not in ACCENT_CLASSES
    )
    return unicodedata.normalize("NFKC", letters.translate(LOOK_ALIKES))


def _is_name(text: str) -> bool:
    """Return whether this has characters of names alone, and spaces where they show."""
    return text == " ".join(text.split()) and all(map(_is_of_names, text))


def _is_of_names(character: str) -> bool:
    return " " <= character <= "~" or (
        unicodedata.category(character) in LETTERS_MARKS_DIGITS
        and character not in INVISIBLE
    )


def _invalid_characters(text: str) -> InvalidUsernameError:
    """Return what is wrong with this, for somebody to whom it may look like a name."""
    strange = next((each for each in text if not _is_of_names(each)), None)
    if strange is not None:
        return InvalidUsernameError(
            "username_characters",
            "A user name consists of letters, digits, ASCII punctuation and single"
            " spaces between them; it cannot contain the character {character}.",
            character=f"U+{ord(strange):04X}",
        )
    if text != " ".join(text.split()):
        return InvalidUsernameError(
            "username_characters",
            "A user name can have single spaces only, and only between other"
            " characters.",
        )
    return InvalidUsernameError(
        "username_characters", "A user name must have a visible letter or digit."
    )
