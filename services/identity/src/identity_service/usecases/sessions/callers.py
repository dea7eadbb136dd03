"""Callers whose session ends while their request waits."""

from identity_service.domain.errors import UserNotFoundError
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
