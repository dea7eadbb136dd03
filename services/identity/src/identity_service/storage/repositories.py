"""The repositories of one transaction."""

from sqlalchemy.ext.asyncio import AsyncConnection

from identity_service.storage.audit import AuditRepository
from identity_service.storage.expired_rows import ExpiredRows
from identity_service.storage.factors.factors import FactorRepository
from identity_service.storage.factors.passkeys import PasskeyRepository
from identity_service.storage.mail.one_time_tokens import OneTimeTokenRepository
from identity_service.storage.mail.outbox import OutboxRepository
from identity_service.storage.restoring import RestoringRepository
from identity_service.storage.sessions.access_tokens import AccessTokenRepository
from identity_service.storage.sessions.sessions import SessionRepository
from identity_service.storage.sessions.status_lists import StatusListRepository
from identity_service.storage.signing_keys import SigningKeyRepository
from identity_service.storage.users.imported_users import ImportedUserRepository
from identity_service.storage.users.logins import LoginRepository
from identity_service.storage.users.pending_sign_ups import PendingSignUpRepository
from identity_service.storage.users.roles import RoleRepository
from identity_service.storage.users.search_words import SearchWordRepository
from identity_service.storage.users.users import UserRepository
from service_kit.clock import Clock


class Repositories:
    """What a unit of work reads and writes, all of it in one transaction."""

    def __init__(self, connection: AsyncConnection, clock: Clock) -> None:
        self.now = clock
        """Returns the present moment."""
        self.users = UserRepository(connection, clock)
        self.logins = LoginRepository(connection, clock)
        self.search_words = SearchWordRepository(connection, clock)
        self.imported_users = ImportedUserRepository(connection, clock)
        self.roles = RoleRepository(connection, clock)
        self.sessions = SessionRepository(connection, clock)
        self.access_tokens = AccessTokenRepository(connection, clock)
        self.signing_keys = SigningKeyRepository(connection, clock)
        self.status_lists = StatusListRepository(connection, clock)
        self.one_time_tokens = OneTimeTokenRepository(connection, clock)
        self.pending_sign_ups = PendingSignUpRepository(connection, clock)
        self.outbox = OutboxRepository(connection, clock)
        self.factors = FactorRepository(connection, clock)
        self.passkeys = PasskeyRepository(connection, clock)
        self.expired_rows = ExpiredRows(connection, clock)
        self.restoring = RestoringRepository(connection, clock)
        self.audit = AuditRepository(connection, clock)
        self.record = self.audit.append
        """Adds an audit event when the transaction ends."""
