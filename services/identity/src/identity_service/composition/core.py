"""Objects that most services need."""

from dataclasses import dataclass

from identity_service.security.keyrings import Sealer
from identity_service.security.password_hashing import PasswordHasher
from identity_service.settings import Settings
from identity_service.storage.database import Database
from identity_service.usecases.audit import Audit
from identity_service.usecases.mail.one_time_tokens import OneTimeTokens
from identity_service.usecases.mail.outbox import Outbox
from identity_service.usecases.new_passwords import NewPasswords
from identity_service.usecases.throttling import Throttle
from service_kit.clock import Clock


@dataclass(frozen=True, kw_only=True)
class Core:
    """Objects that all parts of the composition share."""

    settings: Settings
    database: Database
    clock: Clock
    audit: Audit
    hasher: PasswordHasher
    new_passwords: NewPasswords
    sealer: Sealer
    throttle: Throttle
    outbox: Outbox
    one_time_tokens: OneTimeTokens
