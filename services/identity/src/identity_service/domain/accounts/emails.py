"""E-mail addresses: as shown, and as compared (docs/decisions/0031)."""

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, Final, Self

from email_validator import (
    SPECIAL_USE_DOMAIN_NAMES,
    EmailNotValidError,
    ValidatedEmail,
    validate_email,
)

from identity_service.domain.accounts.case_folding import folded
from identity_service.domain.fields import InvalidFieldError

SPECIAL_USE_DOMAIN_NAMES.clear()
# The library's own switch: a private network may well name its hosts under .local, and
# whether mail arrives is not looked up for any other name either.

EMAIL_MAX_LENGTH: Final = 254
"""Code points, of the address as of its key (RFC 5321, as its erratum 1690 has it)."""

_ENCODED_WORD: Final = "=?"
"""Begins what mail programs show as other text (RFC 2047), a second address maybe."""


class VerificationMode(StrEnum):
    """Whether people have to show that an address is theirs."""

    OFF = "off"
    OPTIONAL = "optional"
    """They are asked to, and may sign in before they do."""
    REQUIRED = "required"
    """There is no account before they do."""


class InvalidEmailError(InvalidFieldError):
    """What was given cannot be an e-mail address."""

    field: ClassVar[str] = "email"


@dataclass(frozen=True, slots=True)
class EmailAddress:
    """An e-mail address: ``text`` is shown and written to, ``key`` is unique."""

    text: str
    key: str

    @classmethod
    def parse(cls, untrusted: str) -> Self:
        """Return the address, or raise `InvalidEmailError`.

        The form is checked (RFC 5321, 6531), the mailbox is not. Any domain with a dot
        will do: those of a private network are as good as public ones.
        """
        if not untrusted:
            raise InvalidEmailError("email_required", "An e-mail address is required.")
        if len(untrusted) > EMAIL_MAX_LENGTH:
            raise InvalidEmailError(
                "email_too_long",
                "An e-mail address has at most {maximum} characters.",
                maximum=EMAIL_MAX_LENGTH,
            )
        try:
            address = _validated(untrusted)
        except EmailNotValidError as error:
            raise _malformed_email() from error
        key = folded(address.normalized)
        if (
            "." not in address.domain
            or len(key) > EMAIL_MAX_LENGTH
            or _ENCODED_WORD in address.local_part
        ):
            raise _malformed_email()
        return cls(address.normalized, key)

    def is_mailbox_of(self, text: str) -> bool:
        """Return whether this address and another have one mailbox.

        Case makes no difference in practice. What else is folded in keys does: the
        domains of ß and of ss may be two people's.
        """
        return self.text.lower() == text.lower()


def in_ascii(email: str) -> str:
    """Return an address as servers without SMTPUTF8 know it, if they can.

    A domain has a form in ASCII (RFC 5891), what stands before it has none.
    """
    return _validated(email).ascii_email or email


def _validated(untrusted: str) -> ValidatedEmail:
    return validate_email(
        untrusted, check_deliverability=False, globally_deliverable=False, strict=True
    )


def _malformed_email() -> InvalidEmailError:
    return InvalidEmailError("email_malformed", "This is not an e-mail address.")
