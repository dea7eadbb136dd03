"""Sign up, and create administrators."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from identity_service.domain.accounts.emails import EmailAddress, VerificationMode
from identity_service.domain.accounts.roles import (
    ADMIN,
    USER,
    RoleName,
    roles_at_sign_up,
)
from identity_service.domain.accounts.usernames import Username
from identity_service.domain.accounts.users import (
    AdminOutcome,
    NewUser,
    refuse_foreign_address,
)
from identity_service.domain.audit import Action, AuditEvent
from identity_service.domain.errors import UsernameTakenError, all_faults
from identity_service.domain.fields import noted
from identity_service.domain.mail import MailKind
from identity_service.domain.sessions.sessions import Device
from identity_service.security.password_hashing import PasswordHasher
from identity_service.storage.database import Database
from identity_service.storage.repositories import Repositories
from identity_service.usecases.accounts.email_verifications import EmailVerifications
from identity_service.usecases.limits.throttling import Throttle
from identity_service.usecases.new_passwords import NewPasswords
from identity_service.usecases.users import add_signed_up
from service_kit.clock import Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class SignUp:
    """An unchecked request to sign up."""

    username: str
    email: str
    password: str = field(repr=False)
    roles: Iterable[str] | None = None


@dataclass(frozen=True, slots=True)
class SignUps:
    """Creates users."""

    database: Database
    new_passwords: NewPasswords
    hasher: PasswordHasher
    throttle: Throttle
    clock: Clock
    verifications: EmailVerifications
    self_assignable_roles: frozenset[RoleName]

    async def sign_up(self, wanted: SignUp, device: Device) -> None:
        """Create a user; where addresses must be verified, once this one is.

        In that mode the response does not reveal whether the address has an account.

        Raises `InvalidFieldsError`: with every field that cannot be accepted;
        `UsernameTakenError`, `EmailTakenError`, `UnknownRoleError`,
        `RoleNotSelfAssignableError`: in this order of precedence;
        `TooManyAttemptsError`, `HashingBusyError`: not now.
        """
        self.hasher.expect_room(device)
        await self.throttle.reserve_sign_up(device.address)
        username, email = await self._checked(wanted)

        is_pending = self.verifications.mode is VerificationMode.REQUIRED

        async def look(unit: Repositories) -> frozenset[RoleName]:
            if is_pending:
                await unit.pending_sign_ups.refuse_taken(username.key)
            else:
                await unit.users.refuse_taken(username.key, email.key)
            return await unit.roles.names()

        roles = roles_at_sign_up(
            wanted.roles,
            existing=await self.database.read(look),
            self_assignable=self.self_assignable_roles,
        )
        if self.verifications.mode is not VerificationMode.OFF:
            await self.throttle.reserve_mail_to(
                MailKind.SIGN_UP, email.key, device.address
            )
        user = NewUser(
            username=username,
            email=email,
            password_hash=await self.hasher.hash(wanted.password, device),
            roles=roles,
            created_at=self.clock(),
        )

        async def work(unit: Repositories) -> None:
            if is_pending:
                await self.verifications.begin_sign_up(unit, user, device)
                return
            user_id = await add_signed_up(unit, user, device)
            await self.verifications.ask(unit, user_id)

        await self.database.write(work)

    async def create_admin(
        self, username: str, email: str, password: str, *, temporary: bool
    ) -> AdminOutcome:
        """Create an administrator; leave an existing one unchanged.

        Raises `InvalidFieldsError`; `UsernameTakenError`, `EmailTakenError`: by a user
        who is not an administrator, and who is left unchanged.
        """
        wanted = SignUp(username=username, email=email, password=password)
        name, address = await self._checked(wanted)
        if (outcome := await self._of_present_admin(name, password)) is not None:
            return outcome
        user = NewUser(
            username=name,
            email=address,
            password_hash=await self.hasher.hash(password),
            password_is_temporary=temporary,
            roles=frozenset({USER, ADMIN}),
            created_at=self.clock(),
        )

        async def work(unit: Repositories) -> None:
            # Else a stranger's sign-up could keep the operator from a name.
            await unit.pending_sign_ups.remove_of_name(name.key)
            user_id = await unit.users.add(user)
            event = AuditEvent.of_new_user(Action.ACCOUNT_CREATED, user_id, user.roles)
            unit.record(event)

        try:
            await self.database.write(work)
        except UsernameTakenError:  # by another process, which does the same, maybe
            outcome = await self._of_present_admin(name, password)
            if outcome is None:
                raise
            return outcome
        return AdminOutcome.CREATED

    async def _of_present_admin(
        self, name: Username, password: str
    ) -> AdminOutcome | None:
        """Return how an administrator of this name differs, None if there is none."""
        present = await self.database.read(
            lambda unit: unit.users.get_by_username_key(name.key)
        )
        if present is None or ADMIN not in present.roles:
            return None
        verdict = await self.hasher.verify(password, present.password_hash)
        if verdict.matches:
            return AdminOutcome.UNCHANGED
        return AdminOutcome.OTHER_PASSWORD

    async def _checked(self, wanted: SignUp) -> tuple[Username, EmailAddress]:
        """Return the name and the address, after checking the password against them."""
        username, email = Username("", ""), EmailAddress("", "")
        with all_faults() as faults:
            with noted(faults):
                username = Username.parse(wanted.username)
            with noted(faults):
                email = EmailAddress.parse(wanted.email)
            if not faults:
                with noted(faults):
                    refuse_foreign_address(username, email)
            with noted(faults):
                await self.new_passwords.check(wanted.password, username, email)
        return username, email
