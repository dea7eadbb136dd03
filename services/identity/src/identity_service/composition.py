"""Put the use cases together: what the server and the commands have in common."""

from dataclasses import dataclass
from typing import Final

from prometheus_client import CollectorRegistry
from sqlalchemy.ext.asyncio import AsyncEngine

from identity_service.domain.passwords import PasswordPolicy
from identity_service.domain.sessions import SessionRules
from identity_service.domain.signing_keys import KeySchedule
from identity_service.metrics import KeyMetrics
from identity_service.security.access_tokens import AccessTokenWriter
from identity_service.security.keyrings import Sealer
from identity_service.security.password_hashing import PasswordHasher
from identity_service.security.refresh_tokens import RefreshTokens
from identity_service.settings import Settings
from identity_service.storage.database import SqlDatabase, create_engine
from identity_service.storage.throttle_counters import (
    StoreCounters,
    ValkeyCounters,
    open_counters,
)
from identity_service.usecases.access_tokens import AccessTokens, StoredStatuses
from identity_service.usecases.accounts import Accounts
from identity_service.usecases.audit import Audit
from identity_service.usecases.housekeeping import ExpiredSessions, Housekeeping
from identity_service.usecases.key_rotation import KeyRotation
from identity_service.usecases.oauth import PresentedTokens
from identity_service.usecases.passwords import Passwords
from identity_service.usecases.revocation import ExpiredTokens, StatusIndexes
from identity_service.usecases.roles import Roles
from identity_service.usecases.sessions import Sessions
from identity_service.usecases.signing_keys import SigningKeys
from identity_service.usecases.status_lists import StatusLists
from identity_service.usecases.throttling import CountingThrottle, NoThrottle
from identity_service.usecases.users import Users
from service_kit.clock import Clock, utc_now
from service_kit.tokens import TokenVerifier

_SERVICE_WORDS: Final = ("identity", "gateway")
"""What a password may not be made of, besides the user's own names."""


@dataclass(frozen=True, kw_only=True)
class UseCases:
    """Everything that the service can do. Nothing is connected until it is used."""

    engine: AsyncEngine
    database: SqlDatabase
    hasher: PasswordHasher
    policy: PasswordPolicy
    counters: ValkeyCounters | StoreCounters
    audit: Audit
    accounts: Accounts
    sessions: Sessions
    users: Users
    roles: Roles
    presented_tokens: PresentedTokens
    keys: SigningKeys
    key_rotation: KeyRotation
    status_lists: StatusLists
    verifier: TokenVerifier
    housekeeping: Housekeeping

    async def close(self) -> None:
        """Let go of threads and connections."""
        self.hasher.close()
        await self.counters.close()
        await self.engine.dispose()


def compose(
    settings: Settings, registry: CollectorRegistry, *, clock: Clock = utc_now
) -> UseCases:
    """Return the use cases that these settings describe."""
    engine = create_engine(settings.database_url, pool_size=settings.database_pool_size)
    database = SqlDatabase(engine)
    audit = Audit(database, clock, retention=settings.audit_retention)
    hasher = PasswordHasher(settings.password_peppers, cost=settings.bcrypt_cost)
    policy = PasswordPolicy(settings.password_min_length, context=_SERVICE_WORDS)
    counters = open_counters(settings.throttle_url, registry)
    throttle = CountingThrottle(counters) if settings.throttle else NoThrottle()
    schedule = key_schedule(settings)
    sealer = Sealer(settings.key_encryption_keys)
    keys = SigningKeys(database, sealer, schedule, clock)
    entries = StatusIndexes(database, clock)
    passwords = Passwords(database, hasher, throttle, audit)
    refresh_tokens = RefreshTokens(settings.key_encryption_keys)
    sessions = Sessions(
        database,
        passwords=passwords,
        throttle=throttle,
        access_tokens=_access_tokens(settings, keys, entries, clock),
        refresh_tokens=refresh_tokens,
        audit=audit,
        clock=clock,
        rules=_session_rules(settings),
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
        statuses=StoredStatuses(database, issuer=settings.issuer),
        media_type=settings.access_token_type,
        clock=clock,
    )
    registry.register(KeyMetrics(keys, entries, status_lists, clock))
    return UseCases(
        engine=engine,
        database=database,
        hasher=hasher,
        policy=policy,
        counters=counters,
        audit=audit,
        accounts=Accounts(
            database,
            policy=policy,
            hasher=hasher,
            passwords=passwords,
            throttle=throttle,
            audit=audit,
            clock=clock,
            self_assignable_roles=settings.self_assignable_roles,
        ),
        sessions=sessions,
        users=Users(database, audit=audit, clock=clock),
        roles=Roles(
            database, audit=audit, self_assignable=settings.self_assignable_roles
        ),
        keys=keys,
        key_rotation=KeyRotation(
            database, audit, keys, sealer=sealer, schedule=schedule, clock=clock
        ),
        status_lists=status_lists,
        verifier=verifier,
        presented_tokens=PresentedTokens(
            database,
            verifier=verifier,
            refresh_tokens=refresh_tokens,
            sessions=sessions,
            clock=clock,
            issuer=settings.issuer,
            audience=settings.audience,
        ),
        housekeeping=Housekeeping(
            {
                "sessions": ExpiredSessions(database, clock).prune,
                "access_tokens": ExpiredTokens(database, clock).prune,
                "audit_events": audit.prune,
            }
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


def _access_tokens(
    settings: Settings, keys: SigningKeys, entries: StatusIndexes, clock: Clock
) -> AccessTokens:
    writer = AccessTokenWriter(
        issuer=settings.issuer,
        audience=settings.audience,
        token_type=settings.access_token_type,
    )
    return AccessTokens(
        keys,
        entries,
        writer,
        clock,
        issuer=settings.issuer,
        lifetime=settings.access_token_lifetime,
    )


def _session_rules(settings: Settings) -> SessionRules:
    return SessionRules(
        idle_lifetime=settings.session_idle_lifetime,
        lifetime=settings.session_lifetime,
        grace=settings.refresh_grace,
        tokens_are_spent=not settings.tutorial_compat,
    )
