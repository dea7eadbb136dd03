"""The composition root."""

import time
from collections.abc import Callable
from typing import Self

from identity_service.composition.accounts import AccountServices
from identity_service.composition.core import Core
from identity_service.composition.factors import FactorServices
from identity_service.composition.tokens import TokenServices
from identity_service.gateways import Gateways
from identity_service.settings import Settings
from identity_service.usecases.accounts.personal_data import PersonalDataExports
from identity_service.usecases.audit import Audit, AuditChain
from identity_service.usecases.caching.watching import Waiters
from identity_service.usecases.fresh_checks import FreshChecks
from identity_service.usecases.housekeeping import (
    Chore,
    Housekeeping,
    expired_rows_chores,
    search_words_chore,
)
from identity_service.usecases.limits.request_ages import RequestAges
from identity_service.usecases.passwords import Passwords
from identity_service.usecases.restoring import Restoring
from identity_service.usecases.roles import Roles
from identity_service.usecases.sign_up import SignUps
from identity_service.usecases.users import Users
from service_kit.clock import Clock
from service_kit.requests.client_addresses import TrustedProxies
from service_kit.requests.csrf import CsrfGuard


class Services(Core):
    """All services. Nothing is connected until it is used, or open after the block.

    They judge by the database's time. ``clock`` is another time to judge by,
    ``monotonic`` another to count attempts by.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Clock | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(settings, clock, monotonic)
        database, throttle = self.database, self.throttle
        self.tokens = TokenServices(self)
        self.factors = FactorServices(self, self.tokens.starts)
        self.accounts = AccountServices(
            self, self.tokens.starts, self.factors.second_steps
        )
        self.audit = Audit(database, self.clock, retention=settings.audit_retention)
        self.audit_chain = AuditChain(self.audit, self.clock)
        self.personal_data = PersonalDataExports(database, throttle, self.audit)
        self.users = Users(database, tokens=self.one_time_tokens, throttle=throttle)
        self.passwords = Passwords(
            database,
            hasher=self.hasher,
            new_passwords=self.new_passwords,
            throttle=throttle,
            second_steps=self.factors.second_steps,
            session_starts=self.tokens.starts,
            outbox=self.outbox,
        )
        self.sign_ups = SignUps(
            database,
            new_passwords=self.new_passwords,
            hasher=self.hasher,
            throttle=throttle,
            clock=self.clock,
            verifications=self.accounts.email_verifications,
            self_assignable_roles=settings.self_assignable_roles,
        )
        self.fresh_checks = FreshChecks(
            database,
            users=self.users,
            passwords=self.passwords,
            proofs=self.factors.proofs,
            throttle=throttle,
        )
        self.roles = Roles(
            database,
            named_by_settings=settings.self_assignable_roles
            | settings.second_factor_roles,
        )
        self.csrf_guard = CsrfGuard(settings.own_origins)
        self.trusted_proxies = TrustedProxies(settings.trusted_proxies)
        self.gateways = Gateways(settings.gateway_status_urls)
        self.waiters = Waiters()
        self.request_ages = RequestAges()
        self.housekeeping = Housekeeping(
            [
                *expired_rows_chores(database, self.clock),
                Chore("audit_events", self.audit.prune, self.audit.backlog),
                search_words_chore(database),
                Chore("departures", self.accounts.departures.prune),
            ]
        )
        self.restoring = Restoring(
            database,
            rotation=self.tokens.key_rotation,
            clock=self.clock,
            grace=settings.deletion_grace,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close threads and connections."""
        await self.tokens.status_lists.stop()
        await self.tokens.keys.watch.stop()
        self.hasher.close()
        await self.counters.close()
        await self.gateways.close()
        if self.breached_passwords is not None:
            await self.breached_passwords.close()
        await self.database.close()
