"""Write a letter as a message (RFC 5322) with a text and an HTML part."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import Final
from urllib.parse import quote

from identity_service.domain.accounts.emails import in_ascii
from identity_service.domain.mail import FACTOR_MAILS, Letter, MailKind
from identity_service.mail.templates import MailTemplates

PAGES: Final[Mapping[MailKind, str]] = {
    MailKind.PASSWORD_RESET: "password-reset",
    MailKind.INVITATION: "password-reset",
    MailKind.SIGN_UP: "email-verification",
    MailKind.EMAIL_VERIFICATION: "email-verification",
    MailKind.EMAIL_CHANGE: "email-change",
    MailKind.EMAIL_CHANGED: "email-change-undo",
    **dict.fromkeys(FACTOR_MAILS, "factor-change-undo"),
}
"""What the fragment of a mail's link names, before the token."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageWriter:
    """Writes messages of this service."""

    templates: MailTemplates
    sender: Address
    pages_url: str
    """Of the page that links lead to, without a fragment."""

    @property
    def service(self) -> str:
        """What mails call the service."""
        return self.sender.display_name or self.sender.domain

    def write(self, letter: Letter, letter_id: str, at: datetime) -> EmailMessage:
        """Return the message of a letter; the same one each time, but for its date.

        A token is in the fragment of the link, which browsers send to no server.
        """
        values = {**letter.values, "service": self.service}
        if (token := values.pop("token", None)) is not None:
            page = PAGES[letter.kind]
            values["link"] = f"{self.pages_url}#/{page}?token={quote(token)}"
        written = self.templates.write(letter.kind, letter.language, values)
        message = EmailMessage(policy=SMTP)
        message["From"] = self.sender
        message["To"] = in_ascii(letter.to)
        message["Subject"] = written.subject
        message["Date"] = format_datetime(at)
        message["Message-ID"] = f"<{letter_id}@{self.sender.domain}>"
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(written.text)
        message.add_alternative(written.html, subtype="html")
        message["Content-Language"] = letter.language
        return message
