"""Compose the services of users' own accounts, and of mail."""

from dataclasses import dataclass
from email.headerregistry import Address
from typing import Final
from urllib.parse import urlsplit

from identity_service.composition.core import Core
from identity_service.domain.emails import Verification
from identity_service.domain.mail import MailRequestKind
from identity_service.mail.delivery import deliveries_to
from identity_service.mail.mailbox import Mailbox
from identity_service.mail.messages import MessageWriter
from identity_service.security.one_time_tokens import MailedCodes
from identity_service.settings import Settings
from identity_service.usecases.accounts.departures import Departures
from identity_service.usecases.accounts.email_changes import EmailChanges
from identity_service.usecases.accounts.email_verifications import EmailVerifications
from identity_service.usecases.accounts.invitations import Invitations
from identity_service.usecases.accounts.mailed_codes import CodeSignIns
from identity_service.usecases.accounts.password_letters import PasswordLetters
from identity_service.usecases.accounts.password_resets import PasswordResets
from identity_service.usecases.accounts.personal_data import PersonalDataExports
from identity_service.usecases.accounts.token_uses import TokenUses
from identity_service.usecases.accounts.undoing import Undoing
from identity_service.usecases.accounts.user_lines import UserLines
from identity_service.usecases.factors.second_steps import SecondSteps
from identity_service.usecases.mail.email_change_letters import EmailChangeLetters
from identity_service.usecases.mail.outbox import Outbox
from identity_service.usecases.mail.requests import MailRequestHandlers, MailRequests
from identity_service.usecases.mail.sending import MailSender
from identity_service.usecases.sessions.starts import SessionStarts

_SENDER: Final = "no-reply"
_PAGES: Final = "/console"


@dataclass(frozen=True, kw_only=True)
class AccountServices:
    """The services of users' own accounts, and of mail."""

    outbox: Outbox
    mail_requests: MailRequests
    mail_sender: MailSender | None
    """None without a mail server."""
    mailbox: Mailbox | None
    """None but in development."""
    password_letters: PasswordLetters
    password_resets: PasswordResets
    email_verifications: EmailVerifications
    email_changes: EmailChanges
    undoing: Undoing
    code_sign_ins: CodeSignIns
    invitations: Invitations
    departures: Departures
    personal_data: PersonalDataExports
    user_lines: UserLines


def compose_accounts(
    core: Core,
    *,
    email_change_letters: EmailChangeLetters,
    password_letters: PasswordLetters,
    session_starts: SessionStarts,
    second_steps: SecondSteps,
) -> AccountServices:
    """Return the services that the settings describe."""
    settings, database = core.settings, core.database
    audit, clock, hasher = core.audit, core.clock, core.hasher
    throttle, outbox, tokens = core.throttle, core.outbox, core.one_time_tokens
    password_resets = PasswordResets(
        database,
        new_passwords=core.new_passwords,
        hasher=hasher,
        throttle=throttle,
        tokens=tokens,
        password_letters=password_letters,
        audit=audit,
        clock=clock,
    )
    token_uses = TokenUses(database, tokens=tokens, throttle=throttle, audit=audit)
    email_verifications = EmailVerifications(
        database,
        mode=settings.email_verification,
        tokens=tokens,
        token_uses=token_uses,
        outbox=outbox,
        audit=audit,
        clock=clock,
    )
    code_sign_ins = CodeSignIns(
        database,
        codes=MailedCodes(settings.key_encryption_keys),
        tokens=tokens,
        session_starts=session_starts,
        second_steps=second_steps,
        throttle=throttle,
        outbox=outbox,
        audit=audit,
        clock=clock,
        is_offered=settings.sign_in_codes,
    )
    handlers: MailRequestHandlers = {
        MailRequestKind.PASSWORD_RESET: password_letters.handle,
        MailRequestKind.EMAIL_VERIFICATION: email_verifications.handle,
        MailRequestKind.SIGN_IN_CODE: code_sign_ins.handle,
    }
    sender = None
    if settings.mail is not None:
        sender = MailSender(
            database,
            outbox=outbox,
            handlers=handlers,
            deliveries=deliveries_to(settings.mail),
            writer=_message_writer(settings),
            clock=clock,
        )
    return AccountServices(
        outbox=outbox,
        mail_requests=MailRequests(
            database,
            outbox=outbox,
            throttle=throttle,
            clock=clock,
            offered=_offered(settings),
        ),
        mail_sender=sender,
        mailbox=_mailbox(settings),
        password_letters=password_letters,
        password_resets=password_resets,
        email_verifications=email_verifications,
        email_changes=EmailChanges(
            database,
            tokens=tokens,
            token_uses=token_uses,
            letters=email_change_letters,
            throttle=throttle,
            outbox=outbox,
            audit=audit,
            clock=clock,
            mode=settings.email_verification,
        ),
        undoing=Undoing(
            token_uses,
            hasher=hasher,
            password_letters=password_letters,
            audit=audit,
            clock=clock,
        ),
        code_sign_ins=code_sign_ins,
        invitations=Invitations(
            database,
            hasher=hasher,
            password_letters=password_letters,
            outbox=outbox,
            audit=audit,
            clock=clock,
        ),
        departures=Departures(
            database,
            throttle=throttle,
            outbox=outbox,
            audit=audit,
            clock=clock,
            grace=settings.deletion_grace,
        ),
        personal_data=PersonalDataExports(database, throttle, audit),
        user_lines=UserLines(database, audit=audit, clock=clock),
    )


def _offered(settings: Settings) -> frozenset[MailRequestKind]:
    """Return the mails that unauthenticated clients may request."""
    turned_off = set()
    if settings.email_verification is Verification.OFF:
        turned_off.add(MailRequestKind.EMAIL_VERIFICATION)
    if not settings.sign_in_codes:
        turned_off.add(MailRequestKind.SIGN_IN_CODE)
    return frozenset(MailRequestKind) - turned_off


def _mailbox(settings: Settings) -> Mailbox | None:
    folder = settings.mail_folder if settings.mailbox else None
    return None if folder is None else Mailbox(folder)


def _message_writer(settings: Settings) -> MessageWriter:
    host = urlsplit(settings.issuer).hostname or "localhost"
    return MessageWriter(
        templates=settings.mail_templates,
        sender=settings.mail_sender or Address(host, _SENDER, host),
        pages_url=settings.mail_pages or f"{settings.issuer}{_PAGES}",
    )
