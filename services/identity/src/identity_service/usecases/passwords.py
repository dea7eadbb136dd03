"""Find out whether somebody knows an account's password."""

import logging
from typing import Final

from identity_service.domain.accounts import Account
from identity_service.domain.audit import Action, AuditEvent
from identity_service.domain.errors import InvalidCredentialsError, WrongPasswordError
from identity_service.domain.fields import InvalidFieldError
from identity_service.domain.sessions import Device
from identity_service.domain.users import Username
from identity_service.security.password_hashing import (
    HashingBusyError,
    PasswordHasher,
    Verdict,
)
from identity_service.usecases.audit import Audit
from identity_service.usecases.ports import Database
from identity_service.usecases.throttling import Reservation, Throttle

_UNREADABLE: Final = frozenset({Verdict.MALFORMED_HASH, Verdict.UNKNOWN_PEPPER})

_logger: Final = logging.getLogger(__name__)


class Passwords:
    """Checks passwords: throttled, audited, and equally slow for whatever reason."""

    def __init__(
        self,
        database: Database,
        hasher: PasswordHasher,
        throttle: Throttle,
        audit: Audit,
    ) -> None:
        self._database = database
        self._hasher = hasher
        self._throttle = throttle
        self._audit = audit

    async def authenticate(
        self, username: str, password: str, device: Device
    ) -> Account:
        """Return the account whose name and password these are, as it was just now.

        Raises
        ------
        InvalidCredentialsError
            Unknown user, wrong password, disabled account: one and the same.
        TooManyAttemptsError, HashingBusyError
            Not now.
        """
        self._hasher.expect_room(device)
        account, is_known_device = await self._find(username, device)
        reservation = await self._throttle.reserve_sign_in(
            Username.key_of(username),
            device.address,
            known_device=is_known_device,
        )
        verdict = await self._verify(account, password, reservation, device)
        if account is None or not verdict.matches or account.disabled_at is not None:
            await self._refused(Action.SIGN_IN_REFUSED, account, verdict, device)
            raise InvalidCredentialsError
        await reservation.succeeded()
        if verdict is Verdict.MATCH_OUTDATED:
            await self._upgrade(account, password, device)
        return account

    async def confirm(self, account: Account, password: str, device: Device) -> None:
        """Return if this is the password of an account that is signed in.

        Raises
        ------
        WrongPasswordError
        TooManyAttemptsError, HashingBusyError
            Not now.
        """
        reservation = await self._throttle.reserve_sign_in(
            account.username_key, device.address, known_device=True
        )
        verdict = await self._verify(account, password, reservation, device)
        if not verdict.matches:
            await self._refused(Action.PASSWORD_REFUSED, account, verdict, device)
            raise WrongPasswordError
        await reservation.succeeded()

    async def _find(self, username: str, device: Device) -> tuple[Account | None, bool]:
        try:
            key = Username.parse(username).key
        except InvalidFieldError:
            return None, False
        return await self._database.read(
            lambda unit: unit.users.get_by_username_key_and_address(key, device.address)
        )

    async def _verify(
        self,
        account: Account | None,
        password: str,
        reservation: Reservation,
        device: Device,
    ) -> Verdict:
        stored = None if account is None else account.password_hash
        try:
            verdict = await self._hasher.verify(password, stored, device)
        except HashingBusyError:
            await reservation.was_not_tried()
            raise
        if account is not None and verdict in _UNREADABLE:
            _logger.error(
                "password_hash_unreadable",
                extra={"user_id": account.id, "verdict": verdict.value},
            )
        return verdict

    async def _refused(
        self, action: Action, account: Account | None, verdict: Verdict, device: Device
    ) -> None:
        await self._audit.record(
            AuditEvent(
                action=Action.MALFORMED_HASH if verdict in _UNREADABLE else action,
                actor_id=None,
                subject_id=None if account is None else account.id,
                address=device.address,
            )
        )

    async def _upgrade(self, account: Account, password: str, device: Device) -> None:
        """Store the same password as it is hashed today."""
        upgraded = await self._hasher.hash(password, device)
        await self._database.write(
            lambda unit: unit.users.upgrade_password_hash(
                account.id, account.password_hash, upgraded
            )
        )
