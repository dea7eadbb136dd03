"""What people do with their own accounts: sign up, rename, change the password."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from identity_service.domain.accounts import Account, NewAccount
from identity_service.domain.audit import Action, AuditEvent
from identity_service.domain.errors import (
    AccountNotFoundError,
    InvalidFieldsError,
    WrongPasswordError,
)
from identity_service.domain.fields import InvalidFieldError
from identity_service.domain.passwords import PasswordPolicy
from identity_service.domain.roles import ADMIN, USER, RoleName, roles_at_sign_up
from identity_service.domain.sessions import Device, EndReason
from identity_service.domain.users import EmailAddress, Username
from identity_service.security.password_hashing import PasswordHasher
from identity_service.storage.repositories import Repositories
from identity_service.usecases.audit import Audit
from identity_service.usecases.passwords import Passwords
from identity_service.usecases.ports import Database
from identity_service.usecases.throttling import Throttle
from service_kit.clock import Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class SignUp:
    """What somebody asks for; nothing of it has been checked."""

    username: str
    email: str
    password: str = field(repr=False)
    roles: Iterable[str] | None = None


class Accounts:
    """Accounts, as their owners see them."""

    def __init__(
        self,
        database: Database,
        *,
        policy: PasswordPolicy,
        hasher: PasswordHasher,
        passwords: Passwords,
        throttle: Throttle,
        audit: Audit,
        clock: Clock,
        self_assignable_roles: frozenset[RoleName],
    ) -> None:
        self._database = database
        self._policy = policy
        self._hasher = hasher
        self._passwords = passwords
        self._throttle = throttle
        self._audit = audit
        self._clock = clock
        self._self_assignable_roles = self_assignable_roles

    async def sign_up(self, wanted: SignUp, device: Device) -> int:
        """Create an account and return its id.

        Raises
        ------
        InvalidFieldsError
            With every field that cannot be accepted.
        UsernameTakenError, EmailTakenError, UnknownRoleError,
        RoleNotSelfAssignableError
            In this order of precedence.
        TooManyAttemptsError, HashingBusyError
            Not now.
        """
        self._hasher.expect_room(device)
        await self._throttle.reserve_sign_up(device.address)
        username, email = self._checked(wanted)

        async def look(unit: Repositories) -> frozenset[RoleName]:
            await unit.users.refuse_taken(username.key, email.key)
            return await unit.roles.names()

        roles = roles_at_sign_up(
            wanted.roles,
            existing=await self._database.read(look),
            self_assignable=self._self_assignable_roles,
        )
        account = NewAccount(
            username=username,
            email=email,
            password_hash=await self._hasher.hash(wanted.password, device),
            roles=roles,
            created_at=self._clock(),
        )

        async def work(unit: Repositories) -> int:
            user_id = await unit.users.add(account)
            await self._audit.append(
                unit,
                AuditEvent(
                    action=Action.SIGNED_UP,
                    actor_id=user_id,
                    subject_id=user_id,
                    address=device.address,
                ),
            )
            return user_id

        return await self._database.write(work)

    async def create_admin(
        self, username: str, email: str, password: str, *, temporary: bool
    ) -> bool:
        """Create an administrator; return False if this one is there already.

        Raises
        ------
        InvalidFieldsError
        UsernameTakenError, EmailTakenError
            By an account that is no administrator: it is left as it is.
        """
        wanted = SignUp(username=username, email=email, password=password)
        name, address = self._checked(wanted)
        present = await self._database.read(
            lambda unit: unit.users.get_by_username_key(name.key)
        )
        if present is not None and ADMIN in present.roles:
            return False
        account = NewAccount(
            username=name,
            email=address,
            password_hash=await self._hasher.hash(password),
            password_is_temporary=temporary,
            roles=frozenset({USER, ADMIN}),
            created_at=self._clock(),
        )

        async def work(unit: Repositories) -> None:
            user_id = await unit.users.add(account)
            await self._audit.append(
                unit,
                AuditEvent(
                    action=Action.ACCOUNT_CREATED,
                    subject_id=user_id,
                    details={"roles": "admin user"},
                ),
            )

        await self._database.write(work)
        return True

    async def get(self, user_id: int) -> Account:
        """Return an account, or raise `AccountNotFoundError`."""
        account = await self._database.read(lambda unit: unit.users.get(user_id))
        if account is None:
            raise AccountNotFoundError
        return account

    async def change_password(
        self,
        user_id: int,
        present: str,
        new: str,
        *,
        session_id: str,
        device: Device,
    ) -> None:
        """Change a password, and end the account's other sessions.

        Raises
        ------
        WrongPasswordError
            ``present`` is not the account's password, or not any more.
        WeakPasswordError
        TooManyAttemptsError, HashingBusyError
            Not now.
        """
        account = await self.get(user_id)
        await self._passwords.confirm(account, present, device)
        self._policy.check(
            new, Username.parse(account.username), EmailAddress.parse(account.email)
        )
        password_hash = await self._hasher.hash(new, device)

        async def work(unit: Repositories) -> bool:
            locked = await unit.users.lock(user_id)
            if locked is None or not locked.still_admits(account):
                return False
            now = self._clock()
            await unit.users.set_password(user_id, password_hash, now, temporary=False)
            ended = await unit.sessions.end_all(
                user_id, EndReason.PASSWORD_CHANGED, now, but=session_id
            )
            await unit.access_tokens.revoke_of_user(
                user_id, now, but_session=session_id
            )
            await self._audit.append(
                unit,
                AuditEvent(
                    action=Action.PASSWORD_CHANGED,
                    actor_id=user_id,
                    subject_id=user_id,
                    address=device.address,
                    details={"sessions_ended": ended},
                ),
            )
            return True

        if not await self._database.write(work):
            raise WrongPasswordError

    def _checked(self, wanted: SignUp) -> tuple[Username, EmailAddress]:
        """Return the name and the address, if the password suits them, too."""
        faults: list[InvalidFieldError] = []
        username, email = Username("", ""), EmailAddress("", "")
        try:
            username = Username.parse(wanted.username)
        except InvalidFieldError as error:
            faults.append(error)
        try:
            email = EmailAddress.parse(wanted.email)
        except InvalidFieldError as error:
            faults.append(error)
        try:
            self._policy.check(wanted.password, username, email)
        except InvalidFieldError as error:
            faults.append(error)
        if faults:
            raise InvalidFieldsError(faults)
        return username, email
