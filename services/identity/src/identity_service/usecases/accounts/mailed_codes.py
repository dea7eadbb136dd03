"""Sign in with mailed codes."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from identity_service.domain.accounts.emails import EmailAddress
from identity_service.domain.accounts.users import User
from identity_service.domain.audit import Action, AuditEvent
from identity_service.domain.errors import InvalidCredentialsError, NotOfferedError
from identity_service.domain.mail import MailKind, MailRequest
from identity_service.domain.one_time_tokens import LIFETIMES, Purpose, StoredToken
from identity_service.domain.sessions.authentication import Method
from identity_service.domain.sessions.sessions import Device
from identity_service.security.one_time_tokens import ID_SIZE, MailedCodes, OneTimeToken
from identity_service.storage.database import Database
from identity_service.storage.repositories import Repositories
from identity_service.storage.users.logins import Login
from identity_service.usecases.factors.second_steps import FirstStep, SecondSteps
from identity_service.usecases.limits.throttling import Throttle
from identity_service.usecases.mail.one_time_tokens import (
    OneTimeTokens,
    lifetime_values,
    owner_of,
)
from identity_service.usecases.mail.outbox import Outbox
from identity_service.usecases.sessions.starts import SessionStarts
from identity_service.usecases.sessions.token_pairs import TokenPair
from service_kit.clock import Clock

_NO_TOKEN: Final = "0" * (2 * ID_SIZE)
"""The id of no token: spending it makes a wrong code take as long."""


@dataclass(frozen=True, slots=True)
class CodeSignIns:
    """Begins sessions by mailed codes, for users whose address is verified."""

    database: Database
    codes: MailedCodes
    tokens: OneTimeTokens
    session_starts: SessionStarts
    second_steps: SecondSteps
    throttle: Throttle
    outbox: Outbox
    clock: Clock
    is_offered: bool

    async def handle(self, unit: Repositories, request: MailRequest) -> bool:
        """Mail a code to the user of the address, if they have verified it.

        Otherwise the account may belong to someone who only claims the address, and
        the owner of the address would be let into it.
        """
        user = await owner_of(unit, request.email_key)
        if user is None or user.disabled_at or user.email_verified_at is None:
            return False
        code, digest = self.codes.make(user.id)
        made = OneTimeToken(secrets.token_hex(ID_SIZE), digest)
        purpose = Purpose.SIGN_IN_CODE
        await self.tokens.store(unit, purpose, user.id, user.email_address, made)
        await self.outbox.post_to(
            unit,
            user,
            MailKind.SIGN_IN_CODE,
            language=request.language,
            code=code,
            **lifetime_values(LIFETIMES[purpose]),
        )
        event = AuditEvent.without_actor(
            Action.SIGN_IN_CODE_SENT, user.id, request.address
        )
        unit.record(event)
        return True

    async def sign_in(
        self, untrusted_email: str, untrusted_code: str, device: Device
    ) -> tuple[User, TokenPair]:
        """Begin a session with a code, which can be used once.

        Raises `NotOfferedError`, `InvalidEmailError`, `TooManyAttemptsError`;
        `InvalidCredentialsError`: unknown address, wrong or spent code, disabled user:
        indistinguishable; `SecondFactorRequiredError`: the user has one, whether the
        code was right or not.
        """
        if not self.is_offered:
            raise NotOfferedError
        email = EmailAddress.parse(untrusted_email)
        (user, is_known_device, factors), tokens = await self._find(email, device)
        # The same key as for a sign-in by password, also without a user.
        key = email.key if user is None else user.username_key
        reservation = await self.throttle.reserve_sign_in(
            key, device.address, known_device=is_known_device
        )
        token = self._matching(user, tokens, untrusted_code)
        is_right = token is not None and user is not None and user.disabled_at is None
        token_id = _NO_TOKEN if token is None else token.id

        async def spend(unit: Repositories) -> bool:
            return await unit.one_time_tokens.spend(token_id)

        first = FirstStep.of(user, key, Method.MAILED_CODE, is_right=is_right)
        if asked := self.second_steps.asked(first, factors, by_address=True):
            is_spent_now = await self.database.write(spend)
            first = replace(first, is_right=is_right and is_spent_now)
            raise await self.second_steps.ask(first, asked, device)
        if user is None or not is_right:
            await self._refused(user, device)
            raise InvalidCredentialsError
        methods = frozenset({Method.MAILED_CODE})
        signed_in = await self.session_starts.start(user, device, methods, spend=spend)
        await reservation.succeeded()
        return signed_in

    async def _find(
        self, email: EmailAddress, device: Device
    ) -> tuple[Login, list[StoredToken]]:
        """Look up the user of an address, with as much work if there is none."""

        async def look(unit: Repositories) -> tuple[Login, list[StoredToken]]:
            login = await unit.logins.by_email_key(email.key, device.address)
            user_id = 0 if login.user is None else login.user.id
            return login, await unit.one_time_tokens.of_user(user_id)

        return await self.database.read(look)

    def _matching(
        self, user: User | None, tokens: Sequence[StoredToken], code: str
    ) -> StoredToken | None:
        """Return the stored code that this is, if there is one that has not expired."""
        now = self.clock()
        for each in tokens:
            if (
                user is not None
                and each.purpose == Purpose.SIGN_IN_CODE
                and now < each.expires_at
                and each.email_key == user.email_key
                and self.codes.matches(code, user.id, each.digest)
            ):
                return each
        return None

    async def _refused(self, user: User | None, device: Device) -> None:
        event = AuditEvent.without_actor(
            Action.SIGN_IN_REFUSED,
            None if user is None else user.id,
            device.address,
            methods=Method.MAILED_CODE,
        )
        await self.database.record(event)
