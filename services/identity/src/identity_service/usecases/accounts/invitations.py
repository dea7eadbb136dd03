"""Create accounts for other people, and invite them."""

from collections.abc import Iterable
from dataclasses import dataclass

from identity_service.domain.accounts.emails import EmailAddress
from identity_service.domain.accounts.passwords import random_password
from identity_service.domain.accounts.roles import USER, existing_roles
from identity_service.domain.accounts.usernames import Username
from identity_service.domain.accounts.users import NewUser, User, refuse_foreign_address
from identity_service.domain.audit import Action, AuditEvent
from identity_service.domain.one_time_tokens import Purpose
from identity_service.domain.sessions.sessions import Caller
from identity_service.security.password_hashing import PasswordHasher
from identity_service.storage.database import Database
from identity_service.storage.repositories import Repositories
from identity_service.usecases.accounts.password_letters import PasswordLetters
from identity_service.usecases.mail.outbox import Outbox
from identity_service.usecases.sessions.callers import require_admin


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedUser:
    """The user that an administrator wants to create."""

    username: Username
    email: EmailAddress
    roles: Iterable[str]


@dataclass(frozen=True, slots=True)
class Invitations:
    """Creates users who have not signed up themselves."""

    database: Database
    hasher: PasswordHasher
    password_letters: PasswordLetters
    outbox: Outbox

    async def invite(self, wanted: WantedUser, caller: Caller) -> User:
        """Create a user, and mail them a link to choose a password.

        Raises `NotOfferedError`, `InvalidUsernameError`, `UsernameTakenError`,
        `EmailTakenError`, `UnknownRoleError`, `FormerAdminError` or `HashingBusyError`.
        """
        self.outbox.require_server()
        return await self._create(wanted, caller, random_password(), is_invited=True)

    async def create(self, wanted: WantedUser, caller: Caller) -> tuple[User, str]:
        """Create a user; return a password that they must change when they sign in.

        Raises `InvalidUsernameError`, `UsernameTakenError`, `EmailTakenError`,
        `UnknownRoleError`, `FormerAdminError` or `HashingBusyError`.
        """
        password = random_password()
        user = await self._create(wanted, caller, password, is_invited=False)
        return user, password

    async def _create(
        self, wanted: WantedUser, caller: Caller, password: str, *, is_invited: bool
    ) -> User:
        refuse_foreign_address(wanted.username, wanted.email)
        password_hash = await self.hasher.hash(password, caller.device)
        names = tuple(wanted.roles)

        async def work(unit: Repositories) -> User:
            await require_admin(unit, caller)
            named = existing_roles(names, await unit.roles.names())
            roles = named or frozenset({USER})
            user_id = await unit.users.add(
                NewUser(
                    username=wanted.username,
                    email=wanted.email,
                    password_hash=password_hash,
                    password_is_temporary=not is_invited,
                    roles=roles,
                    created_at=unit.now(),
                )
            )
            user = await unit.users.get_existing(user_id)
            if is_invited:
                await self.password_letters.post(unit, user, Purpose.INVITATION)
            event = AuditEvent.of_new_user(
                Action.INVITED if is_invited else Action.ACCOUNT_CREATED,
                user_id,
                roles,
                actor_id=caller.user_id,
                address=caller.device.address,
            )
            unit.record(event)
            return user

        return await self.database.write(work)
