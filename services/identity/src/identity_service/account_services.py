"""Put together what people do to their accounts, and the mail that goes with it."""

from dataclasses import dataclass
from email.headerregistry import Address
from typing import Final
from urllib.parse import urlsplit

from identity_service.domain.mail import MailRequestKind
from identity_service.domain.passwords import PasswordPolicy
from identity_service.mail.delivery import deliveries_to
from identity_service.mail.messages import MessageWriter
from identity_service.security.keyrings import Sealer
from identity_service.security.password_hashing import PasswordHasher
from identity_service.settings import Settings
from identity_service.storage.database import Database
from identity_service.usecases.accounts.one_time_tokens import OneTimeTokens
from identity_service.usecases.accounts.password_resets import PasswordResets
from identity_service.usecases.audit import Audit
from identity_service.usecases.mail.outbox import Outbox
from identity_service.usecases.mail.requests import MailRequests
from identity_service.usecases.mail.sending import MailSender
from identity_service.usecases.throttling import Throttle
from service_kit.clock import Clock

_SENDER: Final = "no-reply"
_PAGES: Final = "/console"


@dataclass(frozen=True, kw_only=True)
class AccountServices:
    """What people do to their accounts, by mail for the most part."""

    outbox: Outbox
    mail_requests: MailRequests
    mail_sender: MailSender | None
    """None without a mail server."""
    password_resets: PasswordResets


def compose_accounts(
    settings: Settings,
    database: Database,
    *,
    policy: PasswordPolicy,
    hasher: PasswordHasher,
    sealer: Sealer,
    throttle: Throttle,
    audit: Audit,
    clock: Clock,
) -> AccountServices:
    """Return the services that these settings describe."""
    outbox = Outbox(database, sealer, clock, has_server=settings.mail is not None)
    tokens = OneTimeTokens(clock)
    password_resets = PasswordResets(
        database,
        policy=policy,
        hasher=hasher,
        throttle=throttle,
        tokens=tokens,
        outbox=outbox,
        audit=audit,
        clock=clock,
    )
    answers = {MailRequestKind.PASSWORD_RESET: password_resets.answer}
    sender = None
    if settings.mail is not None:
        sender = MailSender(
            database,
            outbox=outbox,
            answers=answers,
            deliveries=deliveries_to(settings.mail),
            writer=_message_writer(settings),
            clock=clock,
        )
    return AccountServices(
        outbox=outbox,
        mail_requests=MailRequests(
            database, outbox=outbox, throttle=throttle, clock=clock
        ),
        mail_sender=sender,
        password_resets=password_resets,
    )


def _message_writer(settings: Settings) -> MessageWriter:
    host = urlsplit(settings.issuer).hostname or "localhost"
    return MessageWriter(
        templates=settings.mail_templates,
        sender=settings.mail_sender or Address(host, _SENDER, host),
        pages_url=settings.mail_pages or f"{settings.issuer}{_PAGES}",
    )
