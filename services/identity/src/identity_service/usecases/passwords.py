"""Sign in with passwords, and change them."""

import contextlib
import logging
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from identity_service.domain.accounts.emails import EmailAddress
from identity_service.domain.accounts.passwords import WeakPasswordError, normalise
from identity_service.domain.accounts.usernames import Username
from identity_service.domain.accounts.users import User
from identity_service.domain.audit import Action, AuditEvent
from identity_service.domain.errors import InvalidCredentialsError, WrongPasswordError
from identity_service.domain.fields import InvalidFieldError
from identity_service.domain.mail import MailKind
from identity_service.domain.one_time_tokens import SPENT_WITH_A_PASSWORD
from identity_service.domain.sessions.authentication import Method
from identity_service.domain.sessions.sessions import Caller, Device, EndReason
from identity_service.security.password_hashing import (
    HashingBusyError,
    PasswordHasher,
    Verdict,
)
from identity_service.storage.database import Database
from identity_service.storage.repositories import Repositories
from identity_service.storage.users.logins import NOBODY, Login
from identity_service.usecases.factors.second_steps import FirstStep, SecondSteps
from identity_service.usecases.limits.reservations import Reservation
from identity_service.usecases.limits.throttling import Throttle
from identity_service.usecases.mail.outbox import Outbox
from identity_service.usecases.new_passwords import NewPasswords
from identity_service.usecases.sessions.starts import SessionStarts
from identity_service.usecases.sessions.token_pairs import TokenPair

_UNREADABLE: Final = frozenset({Verdict.MALFORMED_HASH, Verdict.UNKNOWN_PEPPER})

_AT: Final = "@"
"""In what is typed to sign in: an address, or a name that is its owner's address."""

_logger: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Passwords:
    """Checks passwords: throttled, audited, and equally slow for every refusal."""

    database: Database
    hasher: PasswordHasher
    new_passwords: NewPasswords
    throttle: Throttle
    second_steps: SecondSteps
    session_starts: SessionStarts
    outbox: Outbox
    verdicts: Counter[Verdict] = field(default_factory=Counter, init=False)
    """Results of password checks."""

    async def sign_in(
        self, login: str, password: str, device: Device
    ) -> tuple[User, TokenPair]:
        """Begin a session on a device; the least recently used makes room for it.

        Raises `InvalidCredentialsError`: unknown user, wrong password, disabled user:
        indistinguishable; `SecondFactorRequiredError`: the user has one, whether the
        password was right or not, and the attempt counts as failed until the second
        step succeeds; `TooManyAttemptsError`, `HashingBusyError`: not now.
        """
        verified = await self._authenticate(login, password, device)
        methods = frozenset({Method.PASSWORD})
        return await self.session_starts.start(verified, device, methods)

    async def _authenticate(self, login: str, password: str, device: Device) -> User:
        """Return the user whose name or address and password these are, as it was."""
        self.hasher.expect_room(device)
        name, email_key = _name_and_address(login)
        user, is_known_device, factors = await self._find(name, email_key, device)
        # Spellings of one account's name count as one unknown user's, too.
        unknown = email_key or Username.key_of(login)
        key = unknown if user is None else user.username_key
        reservation = await self.throttle.reserve_sign_in(
            key, device.address, known_device=is_known_device
        )
        verdict = await self._verify(user, password, reservation, device)
        is_right = verdict.matches and user is not None and user.disabled_at is None
        first = FirstStep.of(user, key, Method.PASSWORD, is_right=is_right)
        if asked := self.second_steps.asked(first, factors, by_address=_AT in login):
            raise await self.second_steps.ask(first, asked, device)
        if user is None or not is_right:
            await self._refused(Action.SIGN_IN_REFUSED, user, verdict, device)
            raise InvalidCredentialsError
        await reservation.succeeded()
        if verdict is Verdict.MATCH_OUTDATED:
            await self._upgrade(user, password, device)
        return user

    async def change(self, caller: Caller, present: str, new: str) -> None:
        """Change a password, end the caller's other sessions, and send them a mail.

        Raises `WrongPasswordError`: ``present`` is not the user's password, or not any
        more; `WeakPasswordError`: also if it is the present one;
        `TooManyAttemptsError`, `HashingBusyError`: not now.
        """
        user_id = caller.user_id
        user = await self.database.read(lambda unit: unit.users.get_existing(user_id))
        await self._confirm(user, present, caller)
        await self.new_passwords.check(new, user.name, user.email_address)
        if normalise(new) == normalise(present):  # a temporary one has to go
            raise WeakPasswordError(
                "password_same",
                "This is your current password. Please choose another one.",
            )
        if self.outbox.has_server:
            await self.throttle.reserve_mail_to(
                MailKind.PASSWORD_CHANGED, user.email_key, caller.device.address
            )
        password_hash = await self.hasher.hash(new, caller.device)

        async def work(unit: Repositories) -> bool:
            locked = await unit.users.lock(user_id)
            if locked is None or not locked.still_admits(user):
                event = AuditEvent.without_actor(
                    Action.PASSWORD_REFUSED, user_id, caller.device.address
                )
                unit.record(event)
                return False
            await unit.users.set_password(user_id, password_hash, temporary=False)
            ended = await unit.sessions.end_all(
                user_id, EndReason.PASSWORD_CHANGED, but=caller.session_id
            )
            await unit.one_time_tokens.remove_of_user(user_id, SPENT_WITH_A_PASSWORD)
            await self.outbox.post_to(unit, locked, MailKind.PASSWORD_CHANGED)
            event = AuditEvent.by_caller(
                Action.PASSWORD_CHANGED, caller, sessions_ended=ended
            )
            unit.record(event)
            return True

        if not await self.database.write(work):
            raise WrongPasswordError

    async def confirm(self, user: User, password: str, caller: Caller) -> None:
        """Return if this is the password of a user that is signed in.

        A hash that is outdated is renewed: the first step of a sign-in with two factors
        can't: the time it takes would reveal that the password was right.

        Raises `WrongPasswordError`; `TooManyAttemptsError`, `HashingBusyError`: not
        now.
        """
        verdict = await self._confirm(user, password, caller)
        if verdict is Verdict.MATCH_OUTDATED:
            await self._upgrade(user, password, caller.device)

    async def _confirm(self, user: User, password: str, caller: Caller) -> Verdict:
        device = caller.device
        reservation = await self.throttle.reserve_proof(user.username_key, caller)
        verdict = await self._verify(user, password, reservation, device)
        if not verdict.matches:
            await self._refused(Action.PASSWORD_REFUSED, user, verdict, device)
            raise WrongPasswordError
        await reservation.succeeded()
        return verdict

    async def _find(self, key: str, email_key: str | None, device: Device) -> Login:
        if not key and email_key is None:
            return NOBODY
        return await self.database.read(
            lambda unit: unit.logins.by_login(key, email_key, device.address)
        )

    async def _verify(
        self, user: User | None, password: str, reservation: Reservation, device: Device
    ) -> Verdict:
        stored = None if user is None else user.password_hash
        try:
            verdict = await self.hasher.verify(password, stored, device)
        except HashingBusyError:
            await reservation.was_not_tried()
            raise
        self.verdicts[verdict] += 1
        if user is not None and verdict in _UNREADABLE:
            _logger.error(
                "password_hash_unreadable",
                extra={"user_id": user.id, "verdict": verdict.value},
            )
        return verdict

    async def _refused(
        self, action: Action, user: User | None, verdict: Verdict, device: Device
    ) -> None:
        if verdict in _UNREADABLE:
            action = Action.MALFORMED_HASH
        user_id = None if user is None else user.id
        await self.database.record(
            AuditEvent.without_actor(action, user_id, device.address)
        )

    async def _upgrade(self, user: User, password: str, device: Device) -> None:
        """Store the same password as it is hashed today, unless there is no time."""
        try:
            upgraded = await self.hasher.hash(password, device)
        except HashingBusyError:
            return
        await self.database.write(
            lambda unit: unit.users.upgrade_password_hash(
                user.id, user.password_hash, upgraded
            )
        )


def _name_and_address(login: str) -> tuple[str, str | None]:
    """Return the keys of the name and of the address that this may be."""
    key, email_key = "", None
    with contextlib.suppress(InvalidFieldError):
        key = Username.parse(login).key
    if _AT in login:
        with contextlib.suppress(InvalidFieldError):
            email_key = EmailAddress.parse(login).key
    return key, email_key
