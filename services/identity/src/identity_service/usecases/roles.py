"""The roles there are: list, add and remove them."""

from collections.abc import Set as AbstractSet

from identity_service.domain.accounts.roles import (
    BUILT_IN,
    InvalidRoleNameError,
    Role,
    RoleName,
    parse_role_name,
)
from identity_service.domain.audit import Action, AuditEvent
from identity_service.domain.errors import (
    DatabaseUnavailableError,
    RoleNeededError,
    RoleNotFoundError,
)
from identity_service.domain.sessions.sessions import Caller
from identity_service.storage.database import Database
from identity_service.storage.repositories import Repositories
from identity_service.usecases.sessions.callers import require_admin


class Roles:
    """Roles. A caller is an administrator, None is the operator at the console."""

    def __init__(
        self, database: Database, *, named_by_settings: AbstractSet[RoleName]
    ) -> None:
        self._database = database
        self.needed = BUILT_IN | named_by_settings
        """Those that identity or its settings name, and that cannot be removed."""
        self._all_needed_exist = False

    async def all(self) -> list[Role]:
        """Return every role, the oldest first."""
        return await self._database.read(lambda unit: unit.roles.all())

    async def fault(self) -> str | None:
        """Say which roles identity or its settings name that do not exist.

        Once all exist it asks no more: a role that goes later in spite of `remove`
        costs sign-ups for it a 400, and must not cost all others the service.
        """
        if self._all_needed_exist:
            return None
        try:
            existing = await self._database.read(lambda unit: unit.roles.names())
        except DatabaseUnavailableError as error:
            return f"not read: {error}"
        if missing := self.needed - existing:
            return f"no such role: {', '.join(sorted(missing))}"
        self._all_needed_exist = True
        return None

    async def add(self, role: Role, caller: Caller | None = None) -> None:
        """Add a role.

        Raises `RoleExistsError`, `TooManyRolesError` or `FormerAdminError`.
        """

        async def work(unit: Repositories) -> None:
            await require_admin(unit, caller)
            await unit.roles.add(role)
            unit.record(_event(Action.ROLE_ADDED, role.name, caller))

        await self._database.write(work)

    async def describe(self, role: Role) -> None:
        """Give a role another description, or raise `RoleNotFoundError`."""

        async def work(unit: Repositories) -> None:
            await unit.roles.lock_admin()
            await unit.roles.describe(role)
            unit.record(_event(Action.ROLE_DESCRIBED, role.name, None))

        await self._database.write(work)

    async def remove(self, name: str, caller: Caller | None = None) -> None:
        """Remove a role that no user has.

        Raises `RoleNeededError`, `RoleInUseError`, `RoleNotFoundError` or
        `FormerAdminError`.
        """
        try:
            role = parse_role_name(name)
        except InvalidRoleNameError:
            raise RoleNotFoundError from None
        if role in self.needed:
            raise RoleNeededError

        async def work(unit: Repositories) -> None:
            await require_admin(unit, caller)
            await unit.roles.remove(role)
            unit.record(_event(Action.ROLE_REMOVED, role, caller))

        await self._database.write(work)


def _event(action: Action, name: str, caller: Caller | None) -> AuditEvent:
    return AuditEvent(
        action=action,
        actor_id=caller.user_id if caller else None,
        address=caller.device.address if caller else "",
        details={"role": name},
    )
