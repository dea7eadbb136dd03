"""What most services need."""

from collections.abc import Callable
from typing import Final

from identity_service.domain.accounts.passwords import PasswordPolicy
from identity_service.security.breached_passwords import BreachedPasswords
from identity_service.security.common_passwords import COMMON_PASSWORDS
from identity_service.security.keyrings import Sealer
from identity_service.security.password_hashing import PasswordHasher
from identity_service.settings import Settings
from identity_service.storage.database import Database
from identity_service.storage.database_clock import DatabaseClock
from identity_service.storage.engines import create_engine
from identity_service.storage.throttle_counters import open_counters
from identity_service.usecases.accounts.password_letters import PasswordLetters
from identity_service.usecases.limits.reservations import NoCounters
from identity_service.usecases.limits.throttling import Throttle
from identity_service.usecases.mail.one_time_tokens import OneTimeTokens
from identity_service.usecases.mail.outbox import Outbox
from identity_service.usecases.new_passwords import NewPasswords
from service_kit.clock import Clock

_SERVICE_WORDS: Final = ("identity", "gateway")
"""What a password may not consist of, in addition to the user's own names."""


class Core:
    """What all parts of the composition share. Nothing is connected yet."""

    def __init__(
        self, settings: Settings, clock: Clock | None, monotonic: Callable[[], float]
    ) -> None:
        self.settings = settings
        self.engine = create_engine(
            settings.database_url, pool_size=settings.database_pool_size
        )
        self.database_clock = DatabaseClock(self.engine)
        self.clock: Clock = self.database_clock if clock is None else clock
        """The time that all services use."""
        self.database = Database(self.engine, self.clock)
        self.sealer = Sealer(settings.key_encryption_keys)
        self.counters = open_counters(settings.throttle_url, monotonic)
        self.throttle = Throttle(self.counters if settings.throttle else NoCounters())
        self.hasher = PasswordHasher(
            settings.password_peppers, cost=settings.bcrypt_cost
        )
        mirror = settings.breached_passwords_url
        self.breached_passwords = None if mirror is None else BreachedPasswords(mirror)
        policy = PasswordPolicy(
            settings.password_min_length,
            common=COMMON_PASSWORDS,
            context=_SERVICE_WORDS,
        )
        self.new_passwords = NewPasswords(policy, self.breached_passwords)
        self.outbox = Outbox(
            self.database, self.sealer, has_server=settings.mail is not None
        )
        self.one_time_tokens = OneTimeTokens(self.outbox, self.clock)
        self.password_letters = PasswordLetters(self.database, self.one_time_tokens)
