"""The services of users' own accounts, and of mail."""

from email.headerregistry import Address
from typing import Final
from urllib.parse import urlsplit

from identity_service.composition.core import Core
from identity_service.domain.accounts.emails import VerificationMode
from identity_service.domain.mail import MailRequestKind
from identity_service.mail.mailbox import Mailbox
from identity_service.mail.messages import MessageWriter
from identity_service.security.one_time_tokens import MailedCodes
from identity_service.settings import Settings
from identity_service.usecases.accounts.departures import Departures
from identity_service.usecases.accounts.email_changes import EmailChanges
from identity_service.usecases.accounts.email_verifications import EmailVerifications
from identity_service.usecases.accounts.invitations import Invitations
from identity_service.usecases.accounts.mailed_codes import CodeSignIns
from identity_service.usecases.accounts.password_resets import PasswordResets
from identity_service.usecases.accounts.token_uses import TokenUses
from identity_service.usecases.accounts.undoing import Undoing
from identity_service.usecases.factors.second_steps import SecondSteps
from identity_service.usecases.mail.requests import MailRequestHandlers, MailRequests
from identity_service.usecases.mail.sending import MailSender
from identity_service.usecases.sessions.starts import SessionStarts

_SENDER: Final = "no-reply"
_PAGES: Final = "/console"


class AccountServices:
    """The services of users' own accounts, and of mail."""

    def __init__(
        self, core: Core, session_starts: SessionStarts, second_steps: SecondSteps
    ) -> None:
        settings, database, clock = core.settings, core.database, core.clock
        tokens, outbox, throttle = core.one_time_tokens, core.outbox, core.throttle
        token_uses = TokenUses(database, tokens=tokens, throttle=throttle)
        self.password_resets = PasswordResets(
            database,
            new_passwords=core.new_passwords,
            hasher=core.hasher,
            throttle=throttle,
            tokens=tokens,
            outbox=outbox,
        )
        self.email_verifications = EmailVerifications(
            database,
            mode=settings.email_verification,
            tokens=tokens,
            token_uses=token_uses,
            outbox=outbox,
        )
        self.email_changes = EmailChanges(
            database,
            tokens=tokens,
            token_uses=token_uses,
            throttle=throttle,
            outbox=outbox,
            mode=settings.email_verification,
        )
        self.undoing = Undoing(
            token_uses, hasher=core.hasher, password_letters=core.password_letters
        )
        self.code_sign_ins = CodeSignIns(
            database,
            codes=MailedCodes(settings.key_encryption_keys),
            tokens=tokens,
            session_starts=session_starts,
            second_steps=second_steps,
            throttle=throttle,
            outbox=outbox,
            clock=clock,
            is_offered=settings.sign_in_codes,
        )
        self.invitations = Invitations(
            database,
            hasher=core.hasher,
            password_letters=core.password_letters,
            outbox=outbox,
        )
        self.departures = Departures(
            database, throttle=throttle, outbox=outbox, grace=settings.deletion_grace
        )
        self.mail_requests = MailRequests(
            database, outbox=outbox, throttle=throttle, offered=_offered(settings)
        )
        self.mail_sender = self._mail_sender(core)
        """None without a mail server."""
        self.mailbox = _mailbox(settings)
        """None but in development."""

    def _mail_sender(self, core: Core) -> MailSender | None:
        if core.settings.mail is None:
            return None
        handlers: MailRequestHandlers = {
            MailRequestKind.PASSWORD_RESET: core.password_letters.handle,
            MailRequestKind.EMAIL_VERIFICATION: self.email_verifications.handle,
            MailRequestKind.SIGN_IN_CODE: self.code_sign_ins.handle,
        }
        return MailSender(
            core.database,
            outbox=core.outbox,
            handlers=handlers,
            throttle=core.throttle,
            place=core.settings.mail,
            writer=_message_writer(core.settings),
            clock=core.clock,
        )


def _offered(settings: Settings) -> frozenset[MailRequestKind]:
    """Return the mails that unauthenticated clients may request."""
    turned_off = set()
    if settings.email_verification is VerificationMode.OFF:
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
