"""Have signed-in users prove again who they are."""

from identity_service.domain.audit import Action, AuditEvent
from identity_service.domain.authentication import Method
from identity_service.domain.errors import WrongPasswordError, WrongProofError
from identity_service.domain.sessions import Caller
from identity_service.storage.database import Database
from identity_service.storage.repositories import Repositories
from identity_service.usecases.audit import Audit
from identity_service.usecases.passwords import Passwords
from identity_service.usecases.users import Users
from service_kit.clock import Clock


class FreshChecks:
    """Notes in sessions that their users have proved again who they are."""

    def __init__(
        self,
        database: Database,
        *,
        users: Users,
        passwords: Passwords,
        audit: Audit,
        clock: Clock,
    ) -> None:
        self._database = database
        self._users = users
        self._passwords = passwords
        self._audit = audit
        self._clock = clock

    async def by_password(self, caller: Caller, password: str) -> None:
        """Note that the caller knows their password.

        Raises
        ------
        WrongProofError
        TooManyAttemptsError, HashingBusyError
            Not now.
        """
        user = await self._users.get(caller.user_id)
        try:
            await self._passwords.confirm(user, password, caller.device)
        except WrongPasswordError:
            raise WrongProofError from None

        async def work(unit: Repositories) -> bool:
            locked = await unit.users.lock(user.id)
            if locked is None or not locked.still_admits(user):
                return False
            return await self._note(unit, caller, Method.PASSWORD)

        if not await self._database.write(work):
            raise WrongProofError

    async def _note(self, unit: Repositories, caller: Caller, method: Method) -> bool:
        """Note a proof in the caller's session; return False if it has ended."""
        session = await unit.sessions.lock(caller.session_id)
        if session is None or session.ended_at is not None:
            return False
        await unit.sessions.set_authentication(
            session.id, session.authentication.renewed(self._clock(), method)
        )
        await self._audit.append(
            unit,
            AuditEvent(
                action=Action.FRESH_CHECK,
                actor_id=caller.user_id,
                subject_id=caller.user_id,
                address=caller.device.address,
                details={"session": session.id, "method": method.value},
            ),
        )
        return True
