"""The settings of mail, and of what people do by it."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from email.headerregistry import Address
from email.utils import parseaddr
from pathlib import Path

from identity_service.domain.accounts.emails import EmailAddress, VerificationMode
from identity_service.domain.fields import InvalidFieldError
from identity_service.mail import templates
from identity_service.mail.servers import MailServer, mail_place
from identity_service.mail.templates import MailTemplates
from identity_service.settings.values import DAY, YEAR
from service_kit import settings as parse
from service_kit.settings import SettingsError, setting


def _sender(value: str) -> Address | None:
    if not value:
        return None
    name, address = parseaddr(value)
    try:
        return Address(name, addr_spec=EmailAddress.parse(address).text)
    except InvalidFieldError:
        raise ValueError("is neither address nor Name <address>") from None


def _pages_url(value: str) -> str | None:
    return parse.http_url(value) if value else None


def _templates(value: str) -> MailTemplates:
    return MailTemplates.read(Path(value)) if value else templates.OWN


@dataclass(frozen=True, kw_only=True)
class MailSettings:
    """Where mail goes, what it says, and what it is good for."""

    mail: MailServer | Path | None = setting(
        mail_place,
        secret=True,
        optional=True,
        description="smtps://user:password@host (TLS), smtp://… (STARTTLS) or"
        " file:///folder; unset: no mail",
        variable="IDENTITY_MAIL_URL",
    )
    mailbox: bool = setting(
        parse.boolean,
        default="off",
        description="on: everybody reads the mails in that folder, in development",
    )
    email_verification: VerificationMode = setting(
        parse.member_of(VerificationMode),
        default="off",
        description="off, optional, or required: no account before its address is"
        " verified",
    )
    sign_in_codes: bool = setting(
        parse.boolean,
        default="off",
        description="on: people may sign in by a code mailed to a verified address",
    )
    deletion_grace: timedelta = setting(
        parse.seconds(0, YEAR),
        default=str(14 * DAY),
        description="seconds from a user's wish to be deleted until it is done",
    )
    mail_sender: Address | None = setting(
        _sender,
        default="",
        description="Name <address> of mails; empty: no-reply at the issuer's host",
        variable="IDENTITY_MAIL_FROM",
    )
    mail_pages: str | None = setting(
        _pages_url,
        default="",
        description="page that links in mails lead to; empty: the issuer's /console",
    )
    mail_templates: MailTemplates = setting(
        _templates,
        default="",
        description="folder of templates in place of ours; empty: ours",
    )

    @property
    def mail_folder(self) -> Path | None:
        """The folder that keeps mails, None if they go to a server or nowhere."""
        return self.mail if isinstance(self.mail, Path) else None

    def __post_init__(self) -> None:
        """Raise `SettingsError` where settings need others, naming each."""
        if faults := list(self.unmet_needs()):
            raise SettingsError(faults)

    def unmet_needs(self) -> Iterator[str]:
        """Yield which settings need others to be set, or to be set otherwise."""
        if self.mail is None and self.email_verification is not VerificationMode.OFF:
            yield "IDENTITY_EMAIL_VERIFICATION is not off: IDENTITY_MAIL_URL is needed"
        if self.sign_in_codes and self.email_verification is VerificationMode.OFF:
            yield "IDENTITY_SIGN_IN_CODES is on: IDENTITY_EMAIL_VERIFICATION is needed"
