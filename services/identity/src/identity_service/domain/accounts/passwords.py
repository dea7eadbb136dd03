"""Which passwords are accepted."""

import secrets
import unicodedata
from collections.abc import Container, Iterable, Iterator
from difflib import SequenceMatcher
from typing import ClassVar, Final

from identity_service.domain.accounts.emails import EmailAddress
from identity_service.domain.accounts.usernames import Username
from identity_service.domain.fields import InvalidFieldError

PASSWORD_MAX_LENGTH: Final = 256
"""Code points. Bounds the work of a request; nothing is ever cut off."""

UNPRINTABLE: Final = frozenset({"Cc", "Cs"})
"""Control characters, NUL among them, and halves of surrogate pairs: no keyboard enters
them, and a form, a log or a database on the way may drop them."""

DECORATION: Final = " !\"#$%&'()*+,-./0123456789:;<=>?@[\\]^_`{|}~"
"""What people put around a common word to please a rule."""

CONTEXT_WORD_MIN_LENGTH: Final = 4
"""Code points. A shorter word is part of too many others."""

SIMILAR: Final = 0.7
"""Share of characters two words have in common, in order, to be called alike."""

COMPARED_LENGTH: Final = 32
"""Code points. Beyond, comparing would take milliseconds, and 30 % of the password are
characters of its own."""

_RANDOM_BYTES: Final = 18


class WeakPasswordError(InvalidFieldError):
    """A password that is not accepted."""

    field: ClassVar[str] = "password"


def normalise(password: str) -> str:
    """Return the password as it is counted and hashed: NFC, and nothing else.

    The same characters typed on two devices are one password; case, width and spaces
    count (NIST SP 800-63B-4 section 3.1.1.2). Takes quadratic time where combining
    marks follow each other: bound the length first.
    """
    return unicodedata.normalize("NFC", password)


def random_password() -> str:
    """Return a password that nobody can guess."""
    return secrets.token_urlsafe(_RANDOM_BYTES)


class PasswordPolicy:
    """Length, a list of common ones, nothing of its owner's; no composition rules."""

    def __init__(
        self, min_length: int, *, common: Container[str], context: Iterable[str] = ()
    ) -> None:
        self._min_length = min_length
        self._common = common
        self._context = tuple(word.casefold() for word in context)

    def check(self, password: str, username: Username, email: EmailAddress) -> None:
        """Return if the password is good for this user, else `WeakPasswordError`."""
        if len(password) > PASSWORD_MAX_LENGTH:
            raise WeakPasswordError(
                "password_too_long",
                "A password has at most {maximum} characters.",
                maximum=PASSWORD_MAX_LENGTH,
            )
        if any(
            unicodedata.category(character) in UNPRINTABLE for character in password
        ):
            raise WeakPasswordError(
                "password_characters", "A password cannot contain control characters."
            )
        password = normalise(password)
        if len(password) < self._min_length:
            raise WeakPasswordError(
                "password_too_short",
                "A password has at least {minimum} characters.",
                minimum=self._min_length,
            )
        if password in self._common or password.strip(DECORATION) in self._common:
            raise WeakPasswordError(
                "password_common",
                "Many people use this password. Please choose another one.",
            )
        if self._is_close_to_its_owner(password, username, email):
            raise WeakPasswordError(
                "password_personal",
                "This password is too close to the user name, the e-mail address or"
                " the name of this service.",
            )

    def _is_close_to_its_owner(
        self, password: str, username: Username, email: EmailAddress
    ) -> bool:
        """Return whether, without what is known of its owner, it would be too short."""
        folded = password.casefold()
        rest = folded
        for word in _words(username, email, self._context):
            if _are_similar(folded, word):
                return True
            rest = rest.replace(word, "").replace(word[::-1], "")
        return len(rest) < min(self._min_length, len(folded))


def _words(
    username: Username, email: EmailAddress, context: Iterable[str]
) -> Iterator[str]:
    """Yield what is known of the owner, longest first."""
    local_part, _, domain = email.text.casefold().rpartition("@")
    words = {
        username.text.casefold(),
        username.key,
        email.text.casefold(),
        local_part,
        *domain.split("."),
        *context,
    }
    yield from sorted(
        (word for word in words if len(word) >= CONTEXT_WORD_MIN_LENGTH),
        key=len,
        reverse=True,
    )


def _are_similar(password: str, word: str) -> bool:
    if max(len(password), len(word)) > COMPARED_LENGTH:
        return False
    matcher = SequenceMatcher(a=password, b=word, autojunk=False)
    return (
        matcher.real_quick_ratio() >= SIMILAR
        and matcher.quick_ratio() >= SIMILAR
        and matcher.ratio() >= SIMILAR
    )
