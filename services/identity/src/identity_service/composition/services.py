"""The composition root."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from prometheus_client import CollectorRegistry
from sqlalchemy.ext.asyncio import AsyncEngine

from identity_service.composition.accounts import AccountServices, compose_accounts
from identity_service.composition.core import Core
from identity_service.composition.factors import FactorServices, compose_factors
from identity_service.composition.sessions import compose_sessions
from identity_service.domain.passwords import PasswordPolicy
from identity_service.gateways import Gateways
from identity_service.metrics.attempts import AttemptMetrics
from identity_service.metrics.factors import FactorMetrics
from identity_service.metrics.housekeeping import HousekeepingMetrics
from identity_service.metrics.keys import KeyMetrics
from identity_service.metrics.load import LoadMetrics
from identity_service.metrics.mail import MailMetrics
from identity_service.security.breached_passwords import BreachedPasswords
from identity_service.security.common_passwords import COMMON_PASSWORDS
from identity_service.security.keyrings import Sealer
from identity_service.security.password_hashing import PasswordHasher
from identity_service.settings import Settings
from identity_service.storage.database import Database
from identity_service.storage.database_clock import DatabaseClock
from identity_service.storage.engines import create_engine
from identity_service.storage.throttle_counters import (
    StoreCounters,
    ValkeyCounters,
    open_counters,
)
from identity_service.usecases.accounts.password_letters import PasswordLetters
from identity_service.usecases.audit import Audit
from identity_service.usecases.audit_chain import AuditChain
from identity_service.usecases.fresh_checks import FreshChecks
from identity_service.usecases.housekeeping import (
    Housekeeping,
    expired_rows_chores,
)
from identity_service.usecases.keys.rotation import KeyRotation
from identity_service.usecases.keys.signing_keys import SigningKeys
from identity_service.usecases.mail.email_change_letters import EmailChangeLetters
from identity_service.usecases.mail.one_time_tokens import OneTimeTokens
from identity_service.usecases.mail.outbox import Outbox
from identity_service.usecases.new_passwords import NewPasswords
from identity_service.usecases.passwords import Passwords
from identity_service.usecases.request_ages import RequestAges
from identity_service.usecases.reservations import NoCounters
from identity_service.usecases.restoring import Restoring
from identity_service.usecases.roles import Roles
from identity_service.usecases.search_words import SearchWordsChore
from identity_service.usecases.sessions.access_tokens import Bearers
from identity_service.usecases.sessions.refresh import Refreshes
from identity_service.usecases.sessions.sessions import Sessions
from identity_service.usecases.sessions.token_introspection import TokenIntrospection
from identity_service.usecases.sign_in import SignIns
from identity_service.usecases.sign_up import SignUps
from identity_service.usecases.status_lists import StatusLists
from identity_service.usecases.throttling import Throttle
from identity_service.usecases.users import Users
from identity_service.usecases.watching import Waiters
from service_kit.client_addresses import TrustedProxies
from service_kit.clock import Clock
from service_kit.csrf import CsrfGuard

_SERVICE_WORDS: Final = ("identity", "gateway")
"""What a password may not consist of, in addition to the user's own names."""


@dataclass(frozen=True, kw_only=True)
class Services:
    """All services. Nothing is connected until it is used."""

    settings: Settings
    engine: AsyncEngine
    database: Database
    clock: Clock
    """The time that all services use."""
    database_clock: DatabaseClock
    hasher: PasswordHasher
    breached_passwords: BreachedPasswords | None
    counters: ValkeyCounters | StoreCounters
    audit: Audit
    accounts: AccountServices
    audit_chain: AuditChain
    gateways: Gateways
    sign_ups: SignUps
    sign_ins: SignIns
    refreshes: Refreshes
    passwords: Passwords
    fresh_checks: FreshChecks
    factors: FactorServices
    sessions: Sessions
    users: Users
    roles: Roles
    csrf_guard: CsrfGuard
    trusted_proxies: TrustedProxies
    token_introspection: TokenIntrospection
    keys: SigningKeys
    key_rotation: KeyRotation
    status_lists: StatusLists
    waiters: Waiters
    bearers: Bearers
    request_ages: RequestAges
    housekeeping: Housekeeping
    restoring: Restoring

    async def close(self) -> None:
        """Close threads and connections."""
        await self.status_lists.stop()
        await self.keys.watch.stop()
        self.hasher.close()
        await self.counters.close()
        await self.gateways.close()
        if self.breached_passwords is not None:
            await self.breached_passwords.close()
        await self.engine.dispose()


def compose(
    settings: Settings,
    registry: CollectorRegistry,
    *,
    clock: Clock | None = None,
    monotonic: Callable[[], float] = time.monotonic,
) -> Services:
    """Return the services that these settings describe, judging by the database's time.

    ``clock`` is another time to judge by, ``monotonic`` another to count attempts by.
    """
    engine = create_engine(settings.database_url, pool_size=settings.database_pool_size)
    database = Database(engine)
    database_clock = DatabaseClock(engine)
    clock = database_clock if clock is None else clock
    breached_passwords = _breached_passwords(settings)
    counters = open_counters(settings.throttle_url, monotonic)
    core = _core(settings, database, clock, breached_passwords, counters)
    audit, hasher, throttle = core.audit, core.hasher, core.throttle
    sessions = compose_sessions(core)
    email_change_letters = EmailChangeLetters(core.one_time_tokens, core.outbox)
    password_letters = PasswordLetters(
        database, tokens=core.one_time_tokens, outbox=core.outbox, audit=audit
    )
    users = Users(
        database,
        letters=email_change_letters,
        throttle=throttle,
        audit=audit,
        clock=clock,
    )
    factors = compose_factors(core, sessions.starts)
    passwords = Passwords(
        database,
        hasher=hasher,
        new_passwords=core.new_passwords,
        throttle=throttle,
        second_steps=factors.second_steps,
        letters=password_letters,
        audit=audit,
        clock=clock,
    )
    accounts = compose_accounts(
        core,
        email_change_letters=email_change_letters,
        password_letters=password_letters,
        session_starts=sessions.starts,
        second_steps=factors.second_steps,
    )
    housekeeping = Housekeeping(
        [
            *expired_rows_chores(database, clock),
            audit,
            SearchWordsChore(database),
            accounts.departures,
        ]
    )
    services = Services(
        settings=settings,
        engine=engine,
        database=database,
        clock=clock,
        database_clock=database_clock,
        hasher=hasher,
        breached_passwords=breached_passwords,
        counters=counters,
        audit=audit,
        accounts=accounts,
        audit_chain=AuditChain(audit, clock),
        gateways=Gateways(settings.gateway_status_urls),
        sign_ups=SignUps(
            database,
            new_passwords=core.new_passwords,
            hasher=hasher,
            throttle=throttle,
            audit=audit,
            clock=clock,
            verifications=accounts.email_verifications,
            self_assignable_roles=settings.self_assignable_roles,
        ),
        sign_ins=SignIns(passwords, sessions.starts),
        refreshes=sessions.refreshes,
        passwords=passwords,
        fresh_checks=FreshChecks(
            database,
            users=users,
            passwords=passwords,
            proofs=factors.proofs,
            throttle=throttle,
            audit=audit,
            clock=clock,
        ),
        factors=factors,
        sessions=sessions.sessions,
        csrf_guard=CsrfGuard(settings.own_origins),
        trusted_proxies=TrustedProxies(settings.trusted_proxies),
        users=users,
        roles=Roles(
            database, audit=audit, self_assignable=settings.self_assignable_roles
        ),
        keys=sessions.keys,
        key_rotation=sessions.key_rotation,
        status_lists=sessions.status_lists,
        waiters=Waiters(),
        bearers=sessions.bearers,
        request_ages=RequestAges(),
        token_introspection=sessions.token_introspection,
        housekeeping=housekeeping,
        restoring=Restoring(
            database,
            rotation=sessions.key_rotation,
            audit=audit,
            clock=clock,
            grace=settings.deletion_grace,
        ),
    )
    for each in (
        HousekeepingMetrics(housekeeping),
        MailMetrics(accounts.mail_sender),
        FactorMetrics(factors.proofs),
        KeyMetrics(
            services.keys,
            sessions.status_entries,
            services.status_lists,
            clock,
        ),
        AttemptMetrics(
            passwords, breached_passwords, services.refreshes, throttle, counters
        ),
        LoadMetrics(
            database,
            database_clock,
            hasher,
            services.waiters,
            pool_size=settings.database_pool_size,
        ),
    ):
        registry.register(each)
    return services


def _core(
    settings: Settings,
    database: Database,
    clock: Clock,
    breached_passwords: BreachedPasswords | None,
    counters: ValkeyCounters | StoreCounters,
) -> Core:
    sealer = Sealer(settings.key_encryption_keys)
    policy = PasswordPolicy(
        settings.password_min_length, common=COMMON_PASSWORDS, context=_SERVICE_WORDS
    )
    return Core(
        settings=settings,
        database=database,
        clock=clock,
        audit=Audit(database, clock, retention=settings.audit_retention),
        hasher=PasswordHasher(settings.password_peppers, cost=settings.bcrypt_cost),
        new_passwords=NewPasswords(policy, breached_passwords),
        sealer=sealer,
        throttle=Throttle(counters if settings.throttle else NoCounters()),
        outbox=Outbox(database, sealer, clock, has_server=settings.mail is not None),
        one_time_tokens=OneTimeTokens(clock),
    )


def _breached_passwords(settings: Settings) -> BreachedPasswords | None:
    url = settings.breached_passwords_url
    return None if url is None else BreachedPasswords(url)
