"""Put the service together: what the server and the commands have in common."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from prometheus_client import CollectorRegistry
from sqlalchemy.ext.asyncio import AsyncEngine

from identity_service.account_services import AccountServices, compose_accounts
from identity_service.domain.passwords import PasswordPolicy
from identity_service.domain.sessions import SessionRules
from identity_service.domain.signing_keys import KeySchedule
from identity_service.factor_services import FactorServices, compose_factors
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
from identity_service.security.refresh_tokens import RefreshTokens
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
from identity_service.usecases.sessions.access_tokens import AccessTokens, Bearers
from identity_service.usecases.sessions.entries import SessionEntries
from identity_service.usecases.sessions.refresh import Refreshes
from identity_service.usecases.sessions.sessions import Sessions
from identity_service.usecases.sessions.starts import SessionStarts
from identity_service.usecases.sessions.status_entries import StatusEntries
from identity_service.usecases.sessions.token_introspection import TokenIntrospection
from identity_service.usecases.sessions.token_pairs import TokenPairs
from identity_service.usecases.sessions.turns import SessionTurns
from identity_service.usecases.sign_in import SignIns
from identity_service.usecases.sign_up import SignUps
from identity_service.usecases.status_lists import StatusLists
from identity_service.usecases.throttling import Throttle
from identity_service.usecases.users import Users
from identity_service.usecases.watching import Waiters
from service_kit.client_addresses import TrustedProxies
from service_kit.clock import Clock
from service_kit.csrf import CsrfGuard
from service_kit.tokens import TokenVerifier

_SERVICE_WORDS: Final = ("identity", "gateway")
"""What a password may not be made of, besides the user's own names."""


@dataclass(frozen=True, kw_only=True)
class Services:
    """Everything that the service can do. Nothing is connected until it is used."""

    settings: Settings
    engine: AsyncEngine
    database: Database
    clock: Clock
    """By which everything here is judged."""
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
        """Let go of threads and connections."""
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
    audit = Audit(database, clock, retention=settings.audit_retention)
    hasher = PasswordHasher(settings.password_peppers, cost=settings.bcrypt_cost)
    policy = PasswordPolicy(
        settings.password_min_length,
        common=COMMON_PASSWORDS,
        context=_SERVICE_WORDS,
    )
    breached_passwords = None
    if settings.breached_passwords_url is not None:
        breached_passwords = BreachedPasswords(settings.breached_passwords_url)
    new_passwords = NewPasswords(policy, breached_passwords)
    counters = open_counters(settings.throttle_url, monotonic)
    throttle = Throttle(counters if settings.throttle else NoCounters())
    schedule = key_schedule(settings)
    sealer = Sealer(settings.key_encryption_keys)
    keys = SigningKeys(database, sealer, schedule, clock)
    entries = StatusEntries(database, clock)
    session_entries = SessionEntries(database, entries, clock)
    outbox = Outbox(database, sealer, clock, has_server=settings.mail is not None)
    tokens = OneTimeTokens(clock)
    email_change_letters = EmailChangeLetters(tokens, outbox)
    password_letters = PasswordLetters(
        database, tokens=tokens, outbox=outbox, audit=audit
    )
    users = Users(
        database,
        letters=email_change_letters,
        throttle=throttle,
        audit=audit,
        clock=clock,
    )
    refresh_tokens = RefreshTokens(settings.key_encryption_keys)
    access_tokens = AccessTokens(
        keys,
        clock,
        issuer=settings.issuer,
        audience=settings.audience,
        media_type=settings.access_token_type,
        lifetime=settings.access_token_lifetime,
        second_factor_roles=settings.second_factor_roles,
    )
    token_pairs = TokenPairs(access_tokens, refresh_tokens)
    rules = _session_rules(settings)
    session_starts = SessionStarts(
        database,
        entries=session_entries,
        token_pairs=token_pairs,
        audit=audit,
        clock=clock,
        rules=rules,
    )
    factors = compose_factors(
        settings,
        database,
        sealer=sealer,
        session_starts=session_starts,
        throttle=throttle,
        outbox=outbox,
        audit=audit,
        clock=clock,
    )
    passwords = Passwords(
        database,
        hasher=hasher,
        new_passwords=new_passwords,
        throttle=throttle,
        second_steps=factors.second_steps,
        letters=password_letters,
        audit=audit,
        clock=clock,
    )
    accounts = compose_accounts(
        settings,
        database,
        new_passwords=new_passwords,
        hasher=hasher,
        outbox=outbox,
        tokens=tokens,
        email_change_letters=email_change_letters,
        password_letters=password_letters,
        throttle=throttle,
        session_starts=session_starts,
        second_steps=factors.second_steps,
        audit=audit,
        clock=clock,
    )
    turns = SessionTurns()
    sessions = Sessions(
        database,
        refresh_tokens,
        turns=turns,
        audit=audit,
        clock=clock,
        most=settings.sessions_per_user,
    )
    status_lists = StatusLists(
        database,
        keys,
        clock,
        issuer=settings.issuer,
        lifetime=settings.access_token_lifetime,
        ttl=settings.status_list_ttl,
    )
    verifier = TokenVerifier(
        keys,
        issuer=settings.issuer,
        audience=settings.audience,
        media_type=settings.access_token_type,
        clock=clock,
    )
    key_rotation = KeyRotation(
        database, audit, keys, sealer=sealer, schedule=schedule, clock=clock
    )
    bearers = Bearers(database, verifier, issuer=settings.issuer)
    housekeeping = Housekeeping(
        [
            *expired_rows_chores(database, clock),
            audit,
            SearchWordsChore(database),
            accounts.departures,
        ]
    )
    refreshes = Refreshes(
        database,
        sessions=sessions,
        turns=turns,
        refresh_tokens=refresh_tokens,
        entries=session_entries,
        token_pairs=token_pairs,
        throttle=throttle,
        clock=clock,
        rules=rules,
    )
    waiters = Waiters()
    registry.register(HousekeepingMetrics(housekeeping))
    registry.register(MailMetrics(accounts.mail_sender))
    registry.register(FactorMetrics(factors.proofs))
    registry.register(KeyMetrics(keys, entries, status_lists, clock))
    registry.register(
        AttemptMetrics(passwords, breached_passwords, refreshes, throttle, counters)
    )
    registry.register(
        LoadMetrics(
            database,
            database_clock,
            hasher,
            waiters,
            pool_size=settings.database_pool_size,
        )
    )
    return Services(
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
            new_passwords=new_passwords,
            hasher=hasher,
            throttle=throttle,
            audit=audit,
            clock=clock,
            verifications=accounts.email_verifications,
            self_assignable_roles=settings.self_assignable_roles,
        ),
        sign_ins=SignIns(passwords, session_starts),
        refreshes=refreshes,
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
        sessions=sessions,
        csrf_guard=CsrfGuard(settings.own_origins),
        trusted_proxies=TrustedProxies(settings.trusted_proxies),
        users=users,
        roles=Roles(
            database, audit=audit, self_assignable=settings.self_assignable_roles
        ),
        keys=keys,
        key_rotation=key_rotation,
        status_lists=status_lists,
        waiters=waiters,
        bearers=bearers,
        request_ages=RequestAges(),
        token_introspection=TokenIntrospection(
            database,
            bearers=bearers,
            refresh_tokens=refresh_tokens,
            sessions=sessions,
            clock=clock,
            issuer=settings.issuer,
            audience=settings.audience,
        ),
        housekeeping=housekeeping,
        restoring=Restoring(
            database,
            rotation=key_rotation,
            audit=audit,
            clock=clock,
            grace=settings.deletion_grace,
        ),
    )


def key_schedule(settings: Settings) -> KeySchedule:
    """Return when signing keys take the steps of their lives."""
    return KeySchedule(
        lifetime=settings.signing_key_lifetime,
        prepublication=settings.signing_key_prepublication,
        jwks_max_age=settings.jwks_max_age,
        access_token_lifetime=settings.access_token_lifetime,
    )


def _session_rules(settings: Settings) -> SessionRules:
    return SessionRules(
        idle_lifetime=settings.session_idle_lifetime,
        lifetime=settings.session_lifetime,
        grace=settings.refresh_grace,
        tokens_are_spent=not settings.tutorial_compat,
        most=settings.sessions_per_user,
    )
