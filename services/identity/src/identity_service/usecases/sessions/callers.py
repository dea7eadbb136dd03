"""Callers whose session ends, or whose role is taken, while their request waits."""

from identity_service.domain.accounts.roles import ADMIN
from identity_service.domain.errors import FormerAdminError, UserNotFoundError
from identity_service.domain.sessions.sessions import Caller
from identity_service.storage.repositories import Repositories


async def require_session(unit: Repositories, caller: Caller) -> None:
    """Raise `UserNotFoundError` if the caller's session has ended meanwhile.

    Call it once the user is locked, for whatever a thief must not do after the owner
    has ended their session.
    """
    session = await unit.sessions.lock(caller.session_id)
    if session is None or session.ended_at is not None:
        raise UserNotFoundError


async def require_admin(unit: Repositories, caller: Caller | None) -> None:
    """Lock the admin role; raise `FormerAdminError` if it was taken from the caller.

    A request that waits for the lock was let in before: who sends one after the other
    would give themselves back what is taken from them meanwhile. The operator at the
    console, None, remains one.
    """
    await unit.roles.lock_admin()
    if caller is None:
        return
    user = await unit.users.get(caller.user_id)
    if user is None or user.disabled_at is not None or ADMIN not in user.roles:
        raise FormerAdminError
