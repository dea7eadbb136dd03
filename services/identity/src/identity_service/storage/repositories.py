"""The repositories of one transaction."""

from sqlalchemy.ext.asyncio import AsyncConnection

from identity_service.storage.access_tokens import AccessTokenRepository
from identity_service.storage.roles import RoleRepository
from identity_service.storage.sessions import SessionRepository
from identity_service.storage.users import UserRepository


class Repositories:
    """What a unit of work reads and writes, all of it in one transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self.users = UserRepository(connection)
        self.roles = RoleRepository(connection)
        self.sessions = SessionRepository(connection)
        self.access_tokens = AccessTokenRepository(connection)
