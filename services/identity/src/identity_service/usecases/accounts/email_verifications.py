"""Verify that e-mail addresses belong to their users."""

import hmac
from dataclasses import dataclass, replace

from identity_service.domain.accounts.emails import VerificationMode
from identity_service.domain.accounts.roles import USER
from identity_service.domain.accounts.users import NewUser, PendingSignUp, User
from identity_service.domain.audit import Action, AuditEvent
from identity_service.domain.errors import EmailTakenError
from identity_service.domain.mail import MailKind, MailRequest
from identity_service.domain.one_time_tokens import LIFETIMES, Purpose
from identity_service.domain.sessions.sessions import Device
from identity_service.security.one_time_tokens import (
    OneTimeToken,
    make_token,
    read_token,
)
from identity_service.storage.database import Database
from identity_service.storage.repositories import Repositories
from identity_service.usecases.accounts.token_uses import TokenUses
from identity_service.usecases.mail.one_time_tokens import (
    OneTimeTokens,
    letter_to,
    owner_of,
)
from identity_service.usecases.mail.outbox import Outbox
from identity_service.usecases.users import add_signed_up


@dataclass(frozen=True, slots=True)
class EmailVerifications:
    """Verifies addresses: of users, and of those who have yet to become users."""

    database: Database
    mode: VerificationMode
    tokens: OneTimeTokens
    token_uses: TokenUses
    outbox: Outbox

    async def begin_sign_up(
        self, unit: Repositories, user: NewUser, device: Device
    ) -> None:
        """Note a sign-up until its address is verified, and mail to the address.

        The name is reserved meanwhile. If the address has an account, only the mail
        says so: the client does not learn it, now or later.

        Raises `UsernameTakenError`.
        """
        token, made = make_token()
        lifetime = LIFETIMES[Purpose.EMAIL_VERIFICATION]
        expires_at = user.created_at + lifetime
        await unit.pending_sign_ups.add(
            PendingSignUp(
                id=made.id, digest=made.digest, user=user, expires_at=expires_at
            )
        )
        owner = await unit.users.get_by_email_key(user.email.key)
        if owner is None:
            letter = letter_to(user.email, MailKind.SIGN_UP, token, lifetime)
            await self.outbox.post(unit, letter)
        else:
            await self.outbox.post_to(unit, owner, MailKind.ALREADY_SIGNED_UP)
        event = AuditEvent.without_actor(Action.SIGN_UP_REQUESTED, None, device.address)
        unit.record(event)

    async def ask(self, unit: Repositories, user_id: int) -> None:
        """Mail a new user a link that verifies their address, where that is wanted."""
        if self.mode is not VerificationMode.OFF:
            await self._post(unit, await unit.users.get_existing(user_id))

    async def handle(self, unit: Repositories, request: MailRequest) -> bool:
        """Mail the link again, unless it has been used.

        The lifetime of a pending sign-up is not extended: it reserves a name.
        """
        user = await owner_of(unit, request.email_key)
        if user is not None:
            if user.email_verified_at is not None or user.disabled_at is not None:
                return False
            await self._post(unit, user, request.language)
            unit.record(_sent(user.id, request))
            return True
        pending = await unit.pending_sign_ups.newest_of(request.email_key)
        if pending is None:
            return False
        token, made = make_token()
        await unit.pending_sign_ups.replace_token(pending, made.id, made.digest)
        letter = letter_to(
            pending.user.email,
            MailKind.SIGN_UP,
            token,
            pending.expires_at - unit.now(),
            language=request.language,
        )
        await self.outbox.post(unit, letter)
        unit.record(_sent(None, request))
        return True

    async def confirm(self, untrusted_token: str, device: Device) -> None:
        """Verify an address; where a sign-up waits for it, create the user.

        Raises `OneTimeTokenRefusedError`: it has expired, or the address has become
        another user's meanwhile; `UsernameTakenError`; `TooManyAttemptsError`.
        """
        presented = read_token(untrusted_token)

        async def work(unit: Repositories) -> bool:
            return await self._verify_user(
                unit, presented, device
            ) or await self._create_user(unit, presented, device)

        try:
            is_good = await self.database.write(work)
        except EmailTakenError:
            is_good = False
        if not is_good:
            await self.token_uses.refuse(device)

    async def _verify_user(
        self, unit: Repositories, presented: OneTimeToken, device: Device
    ) -> bool:
        stored = await unit.one_time_tokens.get(presented.id)
        purposes = {Purpose.EMAIL_VERIFICATION}
        if stored is None or not self.tokens.is_good(stored, presented, purposes):
            return False
        await unit.users.lock(stored.user_id)
        if not await unit.one_time_tokens.spend(stored.id):
            return False
        if not await unit.users.set_email_verified(stored.user_id, stored.email_key):
            return False
        unit.record(AuditEvent.by_user(Action.EMAIL_VERIFIED, stored.user_id, device))
        return True

    async def _create_user(
        self, unit: Repositories, presented: OneTimeToken, device: Device
    ) -> bool:
        pending = await unit.pending_sign_ups.get(presented.id)
        now = unit.now()
        if (
            pending is None
            or not hmac.compare_digest(pending.digest, presented.digest)
            or now >= pending.expires_at
            or not await unit.pending_sign_ups.spend(pending.id)
        ):
            return False
        # Without those that have been removed since.
        roles = pending.user.roles & await unit.roles.names() or frozenset({USER})
        user = replace(pending.user, roles=roles, created_at=now, email_verified_at=now)
        await add_signed_up(unit, user, device)
        return True

    async def _post(
        self, unit: Repositories, user: User, language: str | None = None
    ) -> None:
        kind, purpose = MailKind.EMAIL_VERIFICATION, Purpose.EMAIL_VERIFICATION
        await self.tokens.mail(unit, user, kind, purpose, language=language)


def _sent(user_id: int | None, request: MailRequest) -> AuditEvent:
    action = Action.EMAIL_VERIFICATION_SENT
    return AuditEvent.without_actor(action, user_id, request.address)
